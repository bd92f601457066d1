"""Sentences about the choice of the model and the teacher. No logic beyond putting numbers into sentences."""

TITLE = "Model and teacher"
NO_CHOICE_NEEDED = "Nothing needs to be chosen to begin: what is set here works at once."
CHANGE = "Choose others"
BUNDLED = "the small model that comes with LEAML Studio"
MODEL = "Model that learns"
MODEL_KINDS = (("bundled", "The small one, for a first look"), ("own", "Another one"))
MODEL_NAME = "Its folder on this computer, or its name at Hugging Face"
MODEL_EXAMPLE = "Qwen/Qwen2-VL-2B-Instruct"
TEACHER = "Who describes the images"
TEACHERS = (
    ("recorded", "Nobody: use the descriptions that came along"),
    ("server", "A large model on a server, such as vLLM"),
    ("local", "A model on this computer"),
)
TEACHER_LEAD = (
    "A large model describes images well, and the small one learns from its words. No image is described twice."
)
URL, URL_EXAMPLE = "Address of the server (OpenAI-compatible)", "http://localhost:8000/v1"
SERVED, SERVED_EXAMPLE = "Name of its model", "Qwen/Qwen2.5-VL-72B-Instruct"
LOCAL = "Its folder on this computer, or its name at Hugging Face"
LOCAL_BITS = "Its weights"
LOCAL_BITS_CHOICES = (
    ("", "32 bits"),
    ("16", "16 bits: half the memory, for a GPU"),
    ("8", "8 bits: a quarter"),
    ("4", "4 bits: an eighth, and a little less exact"),
)
SERVER_NOTICE = (
    "Images are sent to this server. If it is another computer, they leave this one: only use it if your images may. "
    "Nothing is sent before you test or train."
)
KEY_LEAD = (
    "A key is never typed here, stored or logged. Put it into an environment variable or a file on this computer, and "
    "name that one."
)
KEY_ENV, KEY_ENV_EXAMPLE = "Environment variable with its key", "TEACHER_KEY"
KEY_FILE = "Or file with its key"
FLIPS = "Learn from mirrored images too"
FLIPS_CHOICES = (
    ("none", "No: left and right mean something"),
    ("horizontal", "Left to right"),
    ("both", "Left to right, and top to bottom"),
)
FLIPS_LEAD = (
    "A few answers then teach more, and before models answer, they look at the mirrored images too. The words “left” "
    "and “right”, “top” and “bottom” change places with the sides. Not where a side has a meaning, as in a chest "
    "X-ray, and not where questions name sides in another language."
)
MORE = "More settings"
PROMPT = "What it is asked about each image"
CONCURRENCY = "Questions at once"
TIMEOUT = "Longest wait for a description, seconds"
SIDE = "Longest side of a sent image, pixels"
TOKENS = "Longest description, tokens"
HTTP = "Another computer without encryption (http)"
HTTP_CHOICES = (("no", "refuse"), ("yes", "send all the same"))
PRECISION = "Weights of the model"
PRECISION_CHOICES = (("float32", "32 bits"), ("bfloat16", "16 bits: half the memory, for a GPU"))
MEMORY = "Memory in training"
MEMORY_CHOICES = (("no", "as usual"), ("yes", "save it: the same result, more slowly"))
TEST, SAVE, ESTIMATE = "Test with one image", "Save", "Estimate memory and time"
WORKING = "Working on it: the other buttons of this screen wait. A large model or folder may take minutes."
SAVE_FIRST = "Save the other model first; then its memory and time are estimated."
SAVED = "Saved. The next training uses this."
MODEL_CHANGED = "Saved. Models trained from the one before stay in the comparison until you train them again."
FLIPS_CHANGED = "Saved. Train the models again before you compare them: those so far learnt from other images."
NOTHING_TO_TEST = "Descriptions that came with the images need no test. Choose a server or a model first."
NO_IMAGES = "There is no image to test with. Import some first."
NO_MODEL = "Say which model is to learn: its folder or its name."
NO_SERVER = "Say the server's address and the name of its model."
NO_LOCAL = "Say which model describes the images: its folder or its name."


def teacher_in_words(source: str, model: str, host: str, *, has_captions: bool) -> str:
    """Say who describes the images; recorded descriptions may be missing altogether."""
    if source == "recorded":
        none = "nobody yet, so the generator learns from your answers alone"
        return "the descriptions that came with the images" if has_captions else none
    return f"{model} at {host}" if source == "server" else f"{model} on this computer"


def chosen(model: str, teacher: str, flips: str) -> str:
    """Say what is chosen."""
    mirrored = "" if flips == "none" else f" Learns from mirrored images too: {dict(FLIPS_CHOICES)[flips].lower()}."
    return f"Learns: {model}. Describes images: {teacher}.{mirrored}"


def consent(name: str, host: str) -> str:
    """Ask before an image leaves this computer."""
    return f"The test sends the image {name} to {host}, which is another computer. May it?"


def send(host: str) -> str:
    """Name the button that sends one image."""
    return f"Send it to {host}"


def tested(by: str, model: str, seconds: float, caption: str) -> str:
    """Say how the test went."""
    return f"{by}, model {model}, first caption in {seconds:.1f} s: “{caption}”"


def whole_number(label: str, typed: str) -> str:
    """Say that something typed is no number."""
    return f"“{label}” is {typed!r}, but must be a whole number."


def memory(size_bytes: float) -> str:
    """Write a size for people."""
    return f"{size_bytes / 2**30:.1f} GB" if size_bytes < 10 * 2**30 else f"{size_bytes / 2**30:.0f} GB"


def weights(count: int) -> str:
    """Write a number of weights for people."""
    return f"{count / 1e9:.1f} billion" if count >= 1e8 else f"{count / 1e6:.2g} million"


def rough_time(seconds: float) -> str:
    """Write an estimated time: no more exact than it is."""
    if seconds < 90:
        return "about a minute"
    if seconds < 5400:
        return f"about {round(seconds / 60)} minutes"
    return f"about {round(seconds / 3600)} hours" if seconds < 172_800 else f"about {round(seconds / 86_400)} days"


def estimated(parameters: int, device: str, needs: float, has: float, seconds: float, measured: bool) -> str:
    """Say what a round of the generator takes on this computer."""
    where = "this computer's memory" if device == "cpu" else f"the memory of {device}"
    how = "as the last run took" if measured else "a rough guess before the first run"
    return (
        f"{weights(parameters)} weights. Training needs about {memory(needs)} of the {memory(has)} of {where} that a "
        f"run may use, and {rough_time(seconds)} for the question generator ({how})."
    )


def too_large(saving: float | None, least: float | None, largest: int) -> str:
    """Say what would fit instead: the model when memory is saved, or with weights of 16 bits too, or a smaller one."""
    if saving is not None:
        return f"That does not fit. It would when memory is saved ({memory(saving)}): see “{MORE}”."
    if least is not None:
        return (
            f"That does not fit. It would when memory is saved and its weights have 16 bits ({memory(least)}): see "
            f"“{MORE}”."
        )
    if largest < 1_000_000:
        return "That does not fit, and no smaller model would: this computer has too little memory."
    would = f"A model of up to about {weights(largest)} weights would"
    return f"That does not fit. {would}; or train on a computer with a larger GPU."


def download(size_bytes: float) -> str:
    """Say that a model is not here yet."""
    return f"The first run downloads it (about {memory(size_bytes)})."


def caption_time(images: int, seconds: float) -> str:
    """Say how long captions take."""
    return f"Describing {images} images would take {rough_time(seconds)}."


def captions_failed(count: int, error: str) -> str:
    """Say that some images have no caption, in the teacher's words."""
    images = "1 image has" if count == 1 else f"{count} images have"
    return f"{images} no description. The teacher said at last: {error}"
