"""Which keys are named like a video: dispatch makes a job of each of them, whatever it holds."""

VIDEO_SUFFIXES = (".mp4", ".mov", ".mkv", ".avi", ".h264", ".ts", ".webm")


def has_video_name(key: str) -> bool:
    """Whether the key ends like a video's, in any case."""
    return key.lower().endswith(VIDEO_SUFFIXES)
