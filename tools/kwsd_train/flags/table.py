"""The table of flags: type, range, default and unit of each, by what they are about.

Names and defaults are the tutorial's where it has them. ``--help`` shows the table, and tests try each row at the ends
of its range. Folders, files and plain switches are the commands' own.
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
            raise ValueError(f'Unknown preprocess mode "{value}"')  # the tutorial's words
        return str(value)


class _Weights(Text):
    def accept(self, value: Any) -> Any:
        return super().accept(value) if value else ""


class _Architecture(Text):
    def accept(self, value: Any) -> str:
        return absolute(super().accept(value))


WORDS = Text("words divided by commas", max_bytes=100_000)
SHARE, PERCENTAGE, MANY_PERCENT = Number(0, 1), Number(0, 100), Number(0, 10_000)
RATE_HZ, CLIP_MS, MS, HZ = Whole(1000, 384_000), Whole(10, 60_000), Number(0, 60_000), Number(0, 192_000)
STEPS, FROM_0_STEPS = Whole(1, 1_000_000_000), Whole(0, 1_000_000_000)
VOLUME, GAIN_DB, SNR_DB = Number(0, 10), Number(-120, 60), Number(-100, 100)
PROCESSES = Whole(1, 256)
SEED = Flag("seed", Whole(0, 2**32 - 1), DEFAULT_SEED, "", "seed of everything drawn")


def _rows(*rows: Flag | tuple[str, Kind, Any, str, str]) -> tuple[Flag, ...]:
    return tuple(row if isinstance(row, Flag) else Flag(*row) for row in rows)


# fmt: off
FEATURES = _rows(
    ("wanted_words", WORDS, "yes,no,up,down,left,right,on,off,stop,go", "",
     "words to tell apart; every other folder is _unknown_"),
    ("sample_rate", RATE_HZ, 16000, "Hz", "samples a second of the model; files at other rates are resampled"),
    ("clip_duration_ms", CLIP_MS, 1000, "ms", "length of a clip"),
    ("window_size_ms", MS, 30.0, "ms", "length of a spectrogram window"),
    ("window_stride_ms", MS, 10.0, "ms", "from window to window"),
    ("feature_bin_count", Whole(1, 1024), 40, "",
     "features a window: coefficients of mfcc (at most 40), bands of log_mel, bins of average and micro"),
    ("preprocess", _Preprocess(PREPROCESS), "mfcc", "", "front end"),
    ("lower_hz", HZ, 20.0, "Hz", "lower end of the mel bands, for mfcc and log_mel"),
    ("upper_hz", HZ, None, "Hz", "upper end of the mel bands; left out, 4000 for mfcc and 7600 for log_mel"),
    ("mel_power", Whole(1, 2), 2, "", "1 for magnitudes, 2 for powers, for log_mel"),
    ("log_floor", Number(1e-30, 1e9), 1e-6, "", "added before the logarithm, for log_mel"),
    ("model_architecture", _Architecture("a name that kwsd-train models lists, or path/to/file.py:function"), "conv",
     "", "network"),
)
"""What a checkpoint remembers: two runs that differ in one of these are two models."""

SET = _rows(
    ("silence_percentage", MANY_PERCENT, 10.0, "%",
     "silence entries, as a share of the wanted clips, or of each batch (--sampling)"),
    ("unknown_percentage", MANY_PERCENT, 10.0, "%",
     "other words, as a share of the wanted clips, or of each batch (--sampling)"),
    ("validation_percentage", PERCENTAGE, 10.0, "%", "speakers kept for validation"),
    ("testing_percentage", PERCENTAGE, 10.0, "%", "speakers kept for testing"),
    ("skip_bad", Boolean(), False, "", "leave out files that cannot be read, in place of ending with a list of them"),
    SEED,
)
"""Which clips are in which set."""

SAMPLING = _rows(
    ("sampling", Choice(sampling.KINDS), "tutorial", "",
     "what percentages of silence and other words mean: tutorial, so many clips for 100 wanted ones, fixed at the "
     "start; balanced, so many of 100 clips of each batch, out of all there are, and each word equally often"),
    ("word_weights", _Weights("WORD=X,..., X from 0.001 to 1000"), "", "",
     "how often words are drawn, those left out having 1, for --sampling balanced"),
    ("same_voice_percentage", PERCENTAGE, 0.0, "%",
     "of the other words, spoken by the voices of the wanted ones, where they have any, for --sampling balanced"),
    ("synthesized_voices", Whole(0, 1000), 0, "voices",
     "by text to speech, for wanted words that fewer people say; they say other words, too"),
)
"""How a batch of training clips is composed (`kwsd_train.batches.sampling`)."""

DATA = (*SET, *SAMPLING)

AUGMENTATION = _rows(
    ("background_volume", VOLUME, 0.1, "", "background is mixed in at a volume from 0 to this; 1 is full scale"),
    ("background_frequency", SHARE, 0.8, "", "share of the clips that get background by volume"),
    ("time_shift_ms", MS, 100.0, "ms", "clips are shifted by up to so much either way"),
    ("whole_shift_ms", MS, 0.0, "ms", "and further, by up to so much either way, as long as the word stays whole"),
    ("noise_frequency", SHARE, 0.0, "", "share of the clips that get noise at a signal-to-noise ratio instead"),
    ("snr_db", FromTo(SNR_DB), (0.0, 30.0), "dB", "between which that ratio is drawn"),
    ("voice_frequency", SHARE, 0.0, "", "share of the clips, words or not, with a voice of --speech_dir below"),
    ("voice_snr_db", FromTo(SNR_DB), (0.0, 20.0), "dB", "between which their level over that voice is drawn"),
    ("gain_db", FromTo(GAIN_DB), (0.0, 0.0), "dB", "between which loudness is changed"),
    ("speed_percentage", Number(0, 90), 0.0, "%", "speed and pitch are changed by up to so much either way"),
    ("equalizer_db", Number(0, 60), 0.0, "dB", "the microphone's curve is bent by up to so much either way"),
    ("narrow_frequency", SHARE, 0.0, "",
     "share of the clips heard through what passes nothing above a frequency between 3.5 and 7 kHz"),
    ("reverberation_frequency", SHARE, 0.0, "", "share of the clips that are heard in a room"),
    ("stream_frequency", SHARE, 0.0, "",
     "share of the clips cut as a stream shows them, at any offset between two; a half-heard word is _unknown_"),
    ("repeat_frequency", SHARE, 0.0, "",
     "share of the wanted words among these whose second clip says them again; the end of the first and the beginning "
     "of the second are no word"),
    ("speech_percentage", PERCENTAGE, 0.0, "%",
     "of each batch, windows of running speech without the words, as _unknown_"),
    ("quiet_frequency", SHARE, 0.0, "",
     "share of the silence entries that are what a muted microphone gives: zeros, or noise below -70 dBFS"),
    ("made_noise_frequency", SHARE, 0.0, "",
     "share of the other silence entries that get ticks, knocks, hum, beeps or rustle"),
    ("time_masks", Whole(0, 100), 0, "masks", "masks over time (SpecAugment)"),
    ("time_mask_rows", Whole(0, 10_000), 10, "windows", "widest mask over time"),
    ("band_masks", Whole(0, 100), 0, "masks", "masks over bands (SpecAugment)"),
    ("band_mask_bins", Whole(0, 1024), 5, "bins", "widest mask over bands"),
    ("mixup", Number(0, 100), 0.0, "", "mixup's alpha; 0 mixes nothing"),
    ("teacher_weight", SHARE, 0.5, "", "how far targets move from the labels to the scores of --teacher"),
)

TRAINING = _rows(
    ("recipe", Choice(recipes.NAMES), None, "",
     "where defaults come from: the tutorial, or what makes a few takes of own words enough (noise, rooms, running "
     "speech, other voices, balanced batches); left out, own_words where a model is fine-tuned"),
    ("how_many_training_steps", Several(STEPS), (15000, 3000), "steps", "length of each stage"),
    ("learning_rate", Several(Number(0, 1e38)), (0.001, 0.0001), "", "learning rate of each stage"),
    ("learning_rate_schedule", Choice(SHAPES), SHAPES[0], "", "constant in each stage, or falling to zero"),
    ("warmup_steps", FROM_0_STEPS, 0, "steps", "the rate rises from 0 in these"),
    ("batch_size", Whole(1, 100_000), 100, "clips", "clips a step"),
    ("optimizer", Choice(OPTIMIZERS), OPTIMIZERS[0], "", "update rule"),
    ("weight_decay", Number(0, 10), 0.0, "", "of adam, apart from the loss"),
    ("label_smoothing", SHARE, 0.0, "", "share spread over all labels"),
    ("spoken_weight", Number(0, 100), 0.0, "",
     "of a second loss: to tell all words of --data_dir apart, unwanted ones too, by a layer that is thrown away"),
    ("average_decay", SHARE, 0.0, "", "of a moving average of the weights, which is what is tested; 0 for none"),
    ("eval_step_interval", STEPS, 400, "steps", "from validation to validation"),
    ("save_step_interval", STEPS, 100, "steps", "from checkpoint to checkpoint"),
    ("workers", Whole(0, 256), 1, "processes", "make features; with 0 the trainer itself does"),
    ("teacher_hears", Choice(("clips", "batches")), "clips", "",
     "each training clip once, as it was recorded, or all that the network hears, as it hears it, noise, speech and "
     "half-heard words too; for teachers of the same features"),
    ("unlabelled_percentage", PERCENTAGE, 0.0, "%", "of each batch, windows of --unlabelled_dir"),
    ("distribute", Choice(distribute.NAMES), distribute.NAMES[0], "",
     "share each batch: mirrored, this machine's GPUs; multi_worker, the machines of TF_CONFIG, each of which runs "
     "this command with the same data"),
    ("check_nans", Boolean(), False, "", "stop at the first number that is none"),
    ("quantize", Boolean(), False, "", "refused when true: weights are quantised after training, by freeze"),
    ("verbosity", AnyCase(VERBOSITY), "INFO", "", "how much is logged"),
    ("log_times", Boolean(), True, "", "each entry of the log begins with the time, YYYY-MM-DD HH:MM:SS"),
)
TUNE = _rows(
    ("trials", Whole(1, 1_000_000), 20, "trainings", "what this process adds"),
)

EVALUATE = _rows(
    ("set", Choice((*SETS, ALL_SETS)), "testing", "", "whose clips; all: every clip of the folder, by whomever"),
)

CLIP_SET = _rows(("set", Choice(SETS), "testing", "", "whose clips, and noises where they have sets"))

FREEZE = _rows(
    ("quantize", Choice(QUANTIZE), "none", "",
     "numbers of the file; with int8 its input and output too, but of mfcc the input and the first layer stay floats"),
    ("input", Choice(("features", "waveform")), "features", "", "waveform: the front end is in the file too"),
    ("embedding", Boolean(), False, "",
     "a second output, the features before the last layer, by which kwsd learn adds words"),
)

LABEL_WAV = _rows(("how_many_labels", Whole(1, 1000), 3, "", "how many labels are shown"))

WAV_TO_SPECTROGRAM = _rows(
    ("window_size", Whole(2, 65_536), 256, "samples", "length of a window"),
    ("stride", Whole(1, 1_000_000), 128, "samples", "from window to window"),
    ("brightness", Number(0, 1e9), 64.0, "", "magnitude 1 gives this grey, of 255"),
)

STREAM = _rows(
    ("preset", Choice(("clean", "10dB", "repeats")), None, "",
     "clean (default): a word every 3 s; 10dB: the same words in noise 10 dB below each; repeats: a word twice within "
     "1.2 s, every 5 s; other flags beat it"),
    ("test_duration_seconds", Whole(1, 86_400), 600, "s", "length"),
    ("word_gap_ms", Whole(0, 3_600_000), 2000, "ms",
     "a word, or group, starts anywhere within this time, and its own follows"),
    ("unknown_percentage", Whole(0, 100), 30, "%", "of the words are none of the wanted ones"),
    ("background_volume", VOLUME, 0.1, "", "each piece of background has a volume from 0 to this"),
    ("snr_db", SNR_DB, None, "dB", "noise so far below each word in place of volumes"),
    ("group_words", Whole(1, 1000), 1, "words", "so many words are said close together"),
    ("group_stride_ms", Whole(1, 3_600_000), 1200, "ms", "from start to start of these"),
    ("sample_rate", RATE_HZ, 16000, "Hz", "samples a second"),
    ("clip_duration_ms", Whole(20, 60_000), 1000, "ms", "length of a clip"),
)
"""What `generate-streaming-test-wav` makes streams of."""

SCORING = _rows(
    ("scoring", Choice(("cpp", "python")), "cpp", "", "the tutorial's program that is followed"),
    ("time_tolerance_ms", Number(0, 3_600_000), None, "ms", "reach of a row; left out, 750 for cpp, 1500 for python"),
    ("anchor", Choice(("start", "end")), "start", "",
     "time of a detection in the tutorial's scoring: start or end of its clip"),
)

SWEEP = _rows(
    ("false_alarms_per_hour", Number(0, 1_000_000), 1.0, "an hour",
     "the most that recommended settings may give, all words and recordings together"),
    ("workers", PROCESSES, None, "processes", "share the work; left out, one for each core"),
)

CLIP = _rows(
    ("sample_rate", RATE_HZ, 16000, "Hz", "samples a second"),
    ("clip_duration_ms", CLIP_MS, 1000, "ms", "length of a clip"),
    ("codec", Choice(tuple(CODECS)), "wav", "",
     "16-bit WAV, or Opus at 24 kb/s where the other clips are Opus, lest a model learn the codec"),
)
"""What own clips are like."""

RECORD = _rows(
    ("takes", Whole(1, 10_000), 20, "clips", "of each word, those already there counted"),
    ("other_words", Whole(0, 60), None, "words",
     "other words asked for once each, so that the voice is told from the word; left out, 20 on a terminal, else 0"),
    ("take_s", Number(0.1, 60), 2.0, "s", "listened to for each word"),
    ("pause_s", Number(0, 60), 0.7, "s", "between takes"),
    *CLIP,
)

IMPORT = _rows(
    ("pause_ms", Number(50, 5000), 300.0, "ms", "so much quiet between two utterances cuts a recording in two"),
    *CLIP,
)

SYNTHESIZE = _rows(
    ("count", Whole(1, 100_000), 100, "", "clips of each word, or voices for lines"),
    ("speed", FromTo(Number(0.3, 3)), (0.8, 1.25), "times", "the voice's own speed"),
    ("pitch", FromTo(Number(0.3, 3)), (0.85, 1.2), "times", "the voice's own pitch"),
    ("jobs", PROCESSES, None, "", "clips made at once; left out, one for each core"),
    SEED,
    *CLIP,
)
# fmt: on

TRAIN = (*FEATURES, *DATA, *AUGMENTATION, *TRAINING)
"""What `train` takes."""
