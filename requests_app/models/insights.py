"""Daily figures for Insights."""

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.db.models import Q

from requests_app.querysets import DayFiguresQuerySet


class DayFigures(models.Model):
    """The figures of one day in one time zone (requests_app/insights/daily_rollup.py).

    ``figures`` comes from `requests_app.insights.aggregation.figures_between`, ``coverage`` from
    `coverage_now` at the time of the last count; a day first counted after it ended has none.
    """

    day = models.DateField()
    zone = models.CharField(max_length=64)
    figures = models.JSONField(default=dict, encoder=DjangoJSONEncoder)
    coverage = models.JSONField(null=True, blank=True)
    counted_at = models.DateTimeField(null=True, blank=True)
    is_final = models.BooleanField(default=False)
    next_at = models.DateTimeField()

    objects = DayFiguresQuerySet.as_manager()

    class Meta:
        ordering = ["day"]
        verbose_name_plural = "daily figures"
        constraints = [models.UniqueConstraint(fields=["zone", "day"], name="figures_once_a_day")]
        indexes = [
            models.Index(fields=["zone"], name="figures_still_counted", condition=Q(is_final=False))
        ]

    def __str__(self) -> str:
        return f"Figures of {self.day}"
