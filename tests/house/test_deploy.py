"""Dashboards and alerts ask for metrics that there are."""

import json
import re
from pathlib import Path

import yaml
from plures_server.telemetry.catalogue import METRICS

DEPLOY = Path(__file__).parents[2] / "deploy"
SUFFIXES = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_sum", "_count")}
TOLD = {metric.name + suffix: metric for metric in METRICS for suffix in SUFFIXES[metric.kind]}


def asked(expression: str) -> set[str]:
    return set(re.findall(r"\bplures_\w+", expression))


def expressions() -> list[str]:
    board = json.loads((DEPLOY / "grafana" / "plures.json").read_text())
    rules = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yaml").read_text())
    shown = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    return shown + [rule["expr"] for group in rules["groups"] for rule in group["rules"]]


def test_all_that_is_asked_for_is_told() -> None:
    assert set().union(*map(asked, expressions())) <= set(TOLD)


def test_every_metric_is_on_the_dashboard() -> None:
    shown = {TOLD[name].name for expression in expressions() for name in asked(expression)}
    assert shown == {metric.name for metric in METRICS}


def test_labels_that_are_asked_for_are_told() -> None:
    for expression in expressions():
        for name, selector in re.findall(r"\b(plures_\w+)\{([^}]*)\}", expression):
            labels = set(re.findall(r"(\w+)\s*(?:=~|!=|=)", selector)) - {"instance"}
            assert labels <= set(TOLD[name].labels), expression


def test_every_alert_says_what_to_do() -> None:
    rules = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yaml").read_text())
    assert all(rule["annotations"]["action"].endswith(".") for group in rules["groups"] for rule in group["rules"])
