"""Formats that libsndfile does not read (a telephone's m4a, the sound of a film), through the ``ffmpeg`` program."""

import shutil
import subprocess
import tempfile

from kwsd.audio.pipe import PipeDecoder
from kwsd.errors import InputError
from kwsd.scan.chunks import Samples

MEND = "sudo apt-get install ffmpeg"
# Containers of sound. Not playlists (hls, concat, dash), which would make ffmpeg open other files.
FORMATS = (
    "aac,ac3,aiff,amr,amrnb,amrwb,ape,asf,au,avi,caf,dsf,dts,eac3,flac,flv,gsm,iff,matroska,mov,mp3,mp4,m4a,3gp,mpc,mpc8,"
    "mpeg,mpegts,mpegvideo,ogg,oma,rm,shn,sln,sox,tak,truehd,tta,voc,w64,wav,webm,wv,xwma"
)


class Decoder:
    """The first audio stream of a file; a Decoder of ``kwsd.audio.file``.

    ffmpeg may open only this file: no address, and nothing named by a playlist.

    Args:
        path: the file.
        name: for messages.
        channel: counted from 0.
        reason: why libsndfile does not read it, for the error if ffmpeg is missing.

    Raises:
        InputError: ffmpeg is not installed. Errors that it finds are raised by ``read``.
    """

    def __init__(self, path: str, name: str, channel: int, reason: InputError) -> None:
        if not shutil.which("ffmpeg"):
            raise InputError(name, f"{reason.why}, and ffmpeg is not installed", MEND)
        self._name = name
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the decoder
        command = ["ffmpeg", "-nostdin", "-v", "error", "-xerror", "-protocol_whitelist", "file,pipe"]
        command += ["-format_whitelist", FORMATS]
        command += ["-i", f"file:{path}", "-map", "0:a:0", "-c:a", "pcm_f32le", "-f", "wav", "pipe:1"]
        self._child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self._said, bufsize=0
        )
        assert self._child.stdout is not None
        self._pipe = PipeDecoder(name, self._child.stdout.fileno(), 16000, 1, channel)

    @property
    def rate_hz(self) -> int:
        return self._pipe.rate_hz

    def read(self, timeout_s: float) -> Samples | None:
        try:
            samples = self._pipe.read(timeout_s)
        except InputError as error:
            if self._child.wait():
                raise InputError(self._name, self._why()) from error
            raise
        if samples is None and self._child.wait():
            raise InputError(self._name, f"damaged: {self._why()}")
        return samples

    def close(self) -> None:
        self._child.kill()
        self._child.wait()
        assert self._child.stdout is not None
        self._child.stdout.close()
        self._said.close()

    def _why(self) -> str:
        """ffmpeg's last message, without the address in front of it."""
        self._said.seek(0)
        lines = self._said.read().decode(errors="replace").strip().splitlines() or ["no sound in it"]
        return f"ffmpeg cannot read it ({lines[-1].rpartition(': ')[2].rstrip('.')})"
