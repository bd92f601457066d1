"""Says where images go, before they go."""

from leaml.teacher.config import TeacherConfig


def where_images_go(config: TeacherConfig, images: int, *, to: str = "describe") -> str:
    """Return one sentence for the person who is about to start a run.

    Args:
        config: The teacher.
        images: How many it would be asked about.
        to: What is done with them there.
    """
    if config.source == "recorded":
        return "Captions are those of the project: no image leaves this computer."
    if config.source == "local":
        return f"{config.model} describes up to {images} images on this computer: no image leaves it."
    if config.local_host:
        return f"Up to {images} images are sent to {config.host}, which is this computer, for {config.model} to {to}."
    how = "encrypted" if config.url.startswith("https:") else "NOT encrypted"
    return f"Up to {images} images leave this computer: they go to {config.host} ({how}) for {config.model} to {to}."
