"""More sentences of the Train screen. No logic beyond putting in numbers."""

NEEDS_UNLABELLED = (
    "Needs images without a label: the generator writes questions about those, and every image has one. Import more "
    "images on the Project screen. Full fine-tuning and LoRA learn from your labels without a generator."
)
UNREADABLE = "Settings that cannot be read"
