"""How long logs are kept."""

from aws_cdk import aws_logs as logs

_DAYS = {
    1: logs.RetentionDays.ONE_DAY,
    7: logs.RetentionDays.ONE_WEEK,
    14: logs.RetentionDays.TWO_WEEKS,
    30: logs.RetentionDays.ONE_MONTH,
    90: logs.RetentionDays.THREE_MONTHS,
    365: logs.RetentionDays.ONE_YEAR,
}


def log_retention(days: int) -> logs.RetentionDays:
    """
    CloudWatch's word for a number of days.

    Raises:
        ValueError: CloudWatch, or this list, has none for it.
    """
    if days not in _DAYS:
        raise ValueError(f"log_retention_days is one of {', '.join(map(str, _DAYS))}, got {days}")
    return _DAYS[days]
