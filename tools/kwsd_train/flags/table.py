"""The table of flags, by topic: type, range, default and unit of each.

Names and defaults are the tutorial's where it has them. ``--help`` shows the table, and tests try each row at both ends
of its range. Folders, files and plain switches are defined by the commands.
"""

from typing import Any

from kwsd.validation.kinds import Choice, Kind, Number, Text, Whole
from kwsd_train.batches import sampling
from kwsd_train.data.folders import ALL_SETS, DEFAULT_SEED, SETS
from kwsd_train.data.own_clips import CODECS
from kwsd_train.export.convert import QUANTIZE
from kwsd_train.flags import recipes
from kwsd_train.flags.flag import AnyCase, Boolean, Flag, FromTo, Several
from kwsd_train.networks import absolute
from kwsd_train.training import distribute
from kwsd_train.training.schedule import SHAPES

PREPROCESS = ("mfcc", "log_mel", "average", "micro")
VERBOSITY = ("DEBUG", "INFO", "WARN", "ERROR", "FATAL")
OPTIMIZERS = ("gradient_descent", "momentum", "adam")


class _Preprocess(Choice):
    def accept(self, value: Any) -> str:
        if value not in self.words:
            raise ValueError(f'Unknown preprocess mode "{value}"')  # the tutorial's text
        return str(value)


class _Weights(Text):
    def accept(self, value: Any) -> Any:
        return super().accept(value) if value else ""


class _Architecture(Text):
    def accept(self, value: Any) -> str:
        return absolute(super().accept(value))


WORDS = Text("words separated by commas", max_bytes=100_000)
SHARE, PERCENTAGE, MANY_PERCENT = Number(0, 1), Number(0, 100), Number(0, 10_000)
RATE_HZ, CLIP_MS, MS, HZ = Whole(1000, 384_000), Whole(10, 60_000), Number(0, 60_000), Number(0, 192_000)
STEPS, FROM_0_STEPS = Whole(1, 1_000_000_000), Whole(0, 1_000_000_000)
VOLUME, GAIN_DB, SNR_DB = Number(0, 10), Number(-120, 60), Number(-100, 100)
PROCESSES = Whole(1, 256)
SEED = Flag("seed", Whole(0, 2**32 - 1), DEFAULT_SEED, "", "seed of everything random")


def _rows(*rows: Flag | tuple[str, Kind, Any, str, str]) -> tuple[Flag, ...]:
    return tuple(row if isinstance(row, Flag) else Flag(*row) for row in rows)


# fmt: off
FEATURES = _rows(
    ("wanted_words", WORDS, "yes,no,up,down,left,right,on,off,stop,go", "",
     "words to recognise; all other words are _unknown_"),
    ("sample_rate", RATE_HZ, 16000, "Hz", "sample rate of the model; files at other rates are resampled"),
    ("clip_duration_ms", CLIP_MS, 1000, "ms", "length of a clip"),
    ("window_size_ms", MS, 30.0, "ms", "length of a spectrogram window"),
    ("window_stride_ms", MS, 10.0, "ms", "time from window to window"),
    ("feature_bin_count", Whole(1, 1024), 40, "",
     "features per window: coefficients of mfcc (at most 40), bands of log_mel, bins of average and micro"),
    ("preprocess", _Preprocess(PREPROCESS), "mfcc", "", "front end"),
    ("lower_hz", HZ, 20.0, "Hz", "lower end of the mel bands of mfcc and log_mel"),
    ("upper_hz", HZ, None, "Hz", "upper end of the mel bands; by default 4000 for mfcc and 7600 for log_mel"),
    ("mel_power", Whole(1, 2), 2, "", "for log_mel: 1 for magnitudes, 2 for powers"),
    ("log_floor", Number(1e-30, 1e9), 1e-6, "", "for log_mel: added before the logarithm"),
    ("model_architecture", _Architecture("a name that kwsd-train models lists, or path/to/file.py:function"), "conv",
     "", "network"),
)
"""Stored in a checkpoint: runs that differ in one of these train different models."""

SET = _rows(
    ("silence_percentage", MANY_PERCENT, 10.0, "%",
     "silence, relative to the clips of wanted words or to the batch (see --sampling)"),
    ("unknown_percentage", MANY_PERCENT, 10.0, "%",
     "other words, relative to the clips of wanted words or to the batch (see --sampling)"),
    ("validation_percentage", PERCENTAGE, 10.0, "%", "share of the speakers used for validation"),
    ("testing_percentage", PERCENTAGE, 10.0, "%", "share of the speakers used for testing"),
    ("skip_bad", Boolean(), False, "", "skip files that cannot be read, instead of failing with a list of them"),
    SEED,
)
"""Which clips are in which set."""

SAMPLING = _rows(
    ("sampling", Choice(sampling.KINDS), "tutorial", "",
     "how clips are chosen: tutorial fixes them at the start, percentages of silence and other words being relative "
     "to the wanted clips; balanced draws each batch from all clips, each word equally often, percentages being of the "
     "batch"),
    ("word_weights", _Weights("WORD=X,..., X from 0.001 to 1000"), "", "",
     "for --sampling balanced: how often words are drawn; 1 if not listed"),
    ("same_voice_percentage", PERCENTAGE, 0.0, "%",
     "for --sampling balanced: share of the other words that is spoken by speakers of wanted words, if any"),
    ("synthesized_voices", Whole(0, 1000), 0, "voices",
     "voices added by text to speech to wanted words with fewer speakers; they speak other words too"),
)
"""How a batch of training clips is composed (`kwsd_train.batches.sampling`)."""

DATA = (*SET, *SAMPLING)

AUGMENTATION = _rows(
    ("background_volume", VOLUME, 0.1, "", "largest volume of background noise; 1 is full scale"),
    ("background_frequency", SHARE, 0.8, "", "share of the clips that get background noise by volume"),
    ("time_shift_ms", MS, 100.0, "ms", "largest shift of a clip, either way"),
    ("whole_shift_ms", MS, 0.0, "ms", "largest additional shift, either way, that keeps the word complete"),
    ("noise_frequency", SHARE, 0.0, "", "share of the clips that get noise by signal-to-noise ratio instead"),
    ("snr_db", FromTo(SNR_DB), (0.0, 30.0), "dB", "range of that ratio"),
    ("voice_frequency", SHARE, 0.0, "", "share of the clips that get a voice from --speech_dir in the background"),
    ("voice_snr_db", FromTo(SNR_DB), (0.0, 20.0), "dB", "range of a clip's level relative to that voice"),
    ("gain_db", FromTo(GAIN_DB), (0.0, 0.0), "dB", "range of changes in loudness"),
    ("speed_percentage", Number(0, 90), 0.0, "%", "largest change of speed and pitch, either way"),
    ("equalizer_db", Number(0, 60), 0.0, "dB", "largest change of the frequency response, either way"),
    ("narrow_frequency", SHARE, 0.0, "",
     "share of the clips low-pass filtered, at between 3.5 and 7 kHz"),
    ("reverberation_frequency", SHARE, 0.0, "", "share of the clips that get the reverberation of a room"),
    ("stream_frequency", SHARE, 0.0, "",
     "share of the clips cut from two consecutive ones at any offset, as in a stream; a word cut in half is _unknown_"),
    ("repeat_frequency", SHARE, 0.0, "",
     "share of the wanted words among these whose second clip repeats the word; the end of the first and the beginning "
     "of the second are not a word"),
    ("speech_percentage", PERCENTAGE, 0.0, "%",
     "share of each batch that is running speech without the words, as _unknown_"),
    ("quiet_frequency", SHARE, 0.0, "",
     "share of silence as from a muted microphone: zeros, or noise below -70 dBFS"),
    ("made_noise_frequency", SHARE, 0.0, "",
     "share of the other silence with synthetic ticks, knocks, hum, beeps or rustle"),
    ("time_masks", Whole(0, 100), 0, "masks", "number of masks over time (SpecAugment)"),
    ("time_mask_rows", Whole(0, 10_000), 10, "windows", "width of the widest mask over time"),
    ("band_masks", Whole(0, 100), 0, "masks", "number of masks over bands (SpecAugment)"),
    ("band_mask_bins", Whole(0, 1024), 5, "bins", "width of the widest mask over bands"),
    ("mixup", Number(0, 100), 0.0, "", "alpha of mixup; 0 turns it off"),
    ("teacher_weight", SHARE, 0.5, "", "weight of the scores of --teacher in the targets, against the labels"),
    ("original_share", SHARE, 0.0, "", "share of the original model's weights in the result of fine-tuning"),
)

TRAINING = _rows(
    ("recipe", Choice(recipes.NAMES), None, "",
     "set of defaults: the tutorial's, or those for a few takes of your own words (noise, rooms, running speech, other "
     "voices, balanced batches); by default own_words if a model is fine-tuned, else tutorial"),
    ("how_many_training_steps", Several(STEPS), (15000, 3000), "steps", "number of steps of each stage"),
    ("learning_rate", Several(Number(0, 1e38)), (0.001, 0.0001), "", "learning rate of each stage"),
    ("learning_rate_schedule", Choice(SHAPES), SHAPES[0], "", "constant in each stage, or falling to zero as a cosine"),
    ("warmup_steps", FROM_0_STEPS, 0, "steps", "steps over which the learning rate rises from 0"),
    ("batch_size", Whole(1, 100_000), 100, "clips", "clips per step"),
    ("optimizer", Choice(OPTIMIZERS), OPTIMIZERS[0], "", "optimiser"),
    ("weight_decay", Number(0, 10), 0.0, "", "for adam: weight decay, decoupled from the loss"),
    ("label_smoothing", SHARE, 0.0, "", "share of the target that is spread over all labels"),
    ("spoken_weight", Number(0, 100), 0.0, "",
     "weight of an auxiliary loss: recognise all words in --data_dir, by a layer that is discarded after training"),
    ("average_decay", SHARE, 0.0, "", "decay of the moving average of the weights, which is what is tested; 0: none"),
    ("eval_step_interval", STEPS, 400, "steps", "steps from validation to validation"),
    ("save_step_interval", STEPS, 100, "steps", "steps from checkpoint to checkpoint"),
    ("workers", Whole(0, 256), 1, "processes", "processes that compute features; with 0 the trainer does it itself"),
    ("teacher_hears", Choice(("clips", "batches")), "clips", "",
     "what --teacher scores: clips, each clip once, as recorded; batches, exactly what the network is trained on, with "
     "noise, speech and cut words (the teacher must use the same features)"),
    ("unlabelled_percentage", PERCENTAGE, 0.0, "%", "share of each batch that comes from --unlabelled_dir"),
    ("distribute", Choice(distribute.NAMES), distribute.NAMES[0], "",
     "split each batch over several devices: mirrored, the GPUs of this machine; multi_worker, the machines in "
     "TF_CONFIG, each of which runs this command with the same data"),
    ("check_nans", Boolean(), False, "", "stop at the first value that is not a finite number"),
    ("quantize", Boolean(), False, "", "not supported: freeze quantises the weights after training"),
    ("verbosity", AnyCase(VERBOSITY), "INFO", "", "minimum log level"),
    ("log_times", Boolean(), True, "", "begin each log entry with the time, YYYY-MM-DD HH:MM:SS"),
)
TUNE = _rows(
    ("trials", Whole(1, 1_000_000), 20, "trainings", "number of trials that this process adds"),
)

EVALUATE = _rows(
    ("set", Choice((*SETS, ALL_SETS)), "testing", "", "set of clips to use; all is every clip in the folder"),
)

CLIP_SET = _rows(("set", Choice(SETS), "testing", "", "set of the clips, and of noises if they have sets"))

FREEZE = _rows(
    ("quantize", Choice(QUANTIZE), "none", "",
     "number format; with int8 also of input and output (except with mfcc, whose input and first layer stay float)"),
    ("input", Choice(("features", "waveform")), "features", "",
     "input of the model; with waveform, the file includes the front end"),
    ("embedding", Boolean(), False, "",
     "add a second output, the features before the last layer, which kwsd learn requires"),
)

LABEL_WAV = _rows(("how_many_labels", Whole(1, 1000), 3, "", "number of labels to print"))

WAV_TO_SPECTROGRAM = _rows(
    ("window_size", Whole(2, 65_536), 256, "samples", "length of a window"),
    ("stride", Whole(1, 1_000_000), 128, "samples", "distance from window to window"),
    ("brightness", Number(0, 1e9), 64.0, "", "grey level, of 255, of magnitude 1"),
)

STREAM = _rows(
    ("preset", Choice(("clean", "10dB", "repeats")), None, "",
     "clean (default): a word every 3 s; 10dB: the same words in noise 10 dB below each; repeats: a word twice within "
     "1.2 s, every 5 s; other flags override it"),
    ("test_duration_seconds", Whole(1, 86_400), 600, "s", "length of the recording"),
    ("word_gap_ms", Whole(0, 3_600_000), 2000, "ms",
     "time within which a word, or group, starts at random; its own length follows"),
    ("unknown_percentage", Whole(0, 100), 30, "%", "share of the words that are other than the wanted ones"),
    ("background_volume", VOLUME, 0.1, "", "pieces of background have a volume from 0 to this"),
    ("snr_db", SNR_DB, None, "dB", "signal-to-noise ratio of each word, instead of a volume"),
    ("group_words", Whole(1, 1000), 1, "words", "number of words spoken in a group, close together"),
    ("group_stride_ms", Whole(1, 3_600_000), 1200, "ms", "time from word to word in a group"),
    ("sample_rate", RATE_HZ, 16000, "Hz", "sample rate"),
    ("clip_duration_ms", Whole(20, 60_000), 1000, "ms", "length of a clip"),
)
"""What `generate-streaming-test-wav` makes its streams of."""

SCORING = _rows(
    ("scoring", Choice(("cpp", "python")), "cpp", "", "which of the tutorial's programs to follow"),
    ("time_tolerance_ms", Number(0, 3_600_000), None, "ms",
     "tolerance around a row; by default 750 for cpp, 1500 for python"),
    ("anchor", Choice(("start", "end")), "start", "",
     "time of a detection in the tutorial's scoring: the start or the end of its clip"),
)

SWEEP = _rows(
    ("false_alarms_per_hour", Number(0, 1_000_000), 1.0, "per hour",
     "most false alarms allowed for recommended settings, all words and recordings together"),
    ("workers", PROCESSES, None, "processes", "number of processes; by default one per core"),
)

CLIP = _rows(
    ("sample_rate", RATE_HZ, 16000, "Hz", "sample rate"),
    ("clip_duration_ms", CLIP_MS, 1000, "ms", "length of a clip"),
    ("codec", Choice(tuple(CODECS)), "wav", "",
     "16-bit WAV, or Opus at 24 kb/s; use that of the other clips, or the model may learn the codec"),
)
"""The format of recorded or imported clips."""

RECORD = _rows(
    ("takes", Whole(1, 10_000), 20, "clips", "clips of each word, existing ones included"),
    ("other_words", Whole(0, 60), None, "words",
     "other words to record once each, lest the model learn the voice; by default 20 on a terminal, else 0"),
    ("take_s", Number(0.1, 60), 2.0, "s", "recording time for each word"),
    ("pause_s", Number(0, 60), 0.7, "s", "pause between takes"),
    *CLIP,
)

IMPORT = _rows(
    ("pause_ms", Number(50, 5000), 300.0, "ms", "silence between two utterances at which a recording is cut"),
    *CLIP,
)

SYNTHESIZE = _rows(
    ("count", Whole(1, 100_000), 100, "", "clips of each word, or with --text, voices"),
    ("speed", FromTo(Number(0.3, 3)), (0.8, 1.25), "times", "range of the speed, relative to the voice's own"),
    ("pitch", FromTo(Number(0.3, 3)), (0.85, 1.2), "times", "range of the pitch, relative to the voice's own"),
    ("jobs", PROCESSES, None, "", "clips made at the same time; by default one per core"),
    SEED,
    *CLIP,
)
# fmt: on

TRAIN = (*FEATURES, *DATA, *AUGMENTATION, *TRAINING)
"""The flags of `train`."""
