"""The files under deploy/ are valid, agree with each other, and give the portal no more than it needs."""

import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from apono_portal.configuration.registry import SETTINGS
from tests.architecture.sources import ROOT

pytestmark = pytest.mark.anywhere
DEPLOY = ROOT / "deploy"
KUBERNETES = DEPLOY / "kubernetes"
MANIFESTS = sorted(path for path in KUBERNETES.rglob("*.yaml") if path.name != "kustomization.yaml")
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
FILE_VARIABLES = {setting.file_variable for setting in SETTINGS.values()}
EXPOSURE_LIMIT = 2.5


@cache
def documents(path: Path) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(path.read_text()))


def objects(kind: str) -> list[dict[str, Any]]:
    return [item for path in MANIFESTS for item in documents(path) if item["kind"] == kind]


def pods() -> dict[str, dict[str, Any]]:
    owners = objects("Deployment") + objects("Job")
    return {item["metadata"]["name"]: item["spec"]["template"] for item in owners}


def test_the_containerfile_passes_hadolint():
    program = Path(sys.executable).parent / "hadolint"
    check = subprocess.run([program, DEPLOY / "Containerfile"], capture_output=True, text=True)
    assert (check.returncode, check.stdout) == (0, "")


def test_the_image_has_what_the_portal_needs_and_no_tests():
    patterns = (ROOT / ".dockerignore").read_text().splitlines()
    allowed = {line[1:] for line in patterns if line.startswith("!")}
    assert all((ROOT / path).exists() for path in allowed)
    assert {"manage.py", "templates", "static", "apono_portal", "audit"} <= allowed
    assert not allowed & {"tests", "bench", "var", ".git", "deploy"}


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.stem)
def test_manifests_follow_the_schemas_of_kubernetes(path):
    for document in documents(path):
        kubernetes_validate.validate(document, "1.33", strict=True)


def test_kustomizations_name_every_file():
    for file in KUBERNETES.rglob("kustomization.yaml"):
        [document] = documents(file)
        named = [*document["resources"], *(patch["path"] for patch in document.get("patches", ()))]
        assert all((file.parent / name).exists() for name in named)
        others = {path.name for path in file.parent.glob("*.yaml")} - {"kustomization.yaml"}
        assert others <= set(named)


def test_every_container_is_unprivileged():
    for name, pod in pods().items():
        assert pod["spec"]["securityContext"]["runAsNonRoot"], name
        assert pod["spec"]["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not pod["spec"]["automountServiceAccountToken"]
        [container] = pod["spec"]["containers"]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }


def test_selectors_match_the_pods():
    labels = {pod["metadata"]["labels"]["app.kubernetes.io/component"] for pod in pods().values()}
    selectors = [item["spec"]["selector"]["matchLabels"] for item in objects("Deployment")]
    selectors += [
        item["spec"]["selector"]["matchLabels"] for item in objects("PodDisruptionBudget")
    ]
    selectors += [item["spec"]["selector"] for item in objects("Service")]
    assert {selector["app.kubernetes.io/component"] for selector in selectors} <= labels


def test_only_workers_can_sign_checkpoints():
    with_key = [name for name, pod in pods().items() if "audit" in yaml.safe_dump(pod)]
    assert with_key == ["portal-worker"]


def test_workers_run_on_different_nodes():
    affinity = pods()["portal-worker"]["spec"]["affinity"]["podAntiAffinity"]
    assert affinity["requiredDuringSchedulingIgnoredDuringExecution"]


def test_settings_of_the_manifests_exist():
    names = {name for item in objects("ConfigMap") for name in item["data"]}
    names |= {
        variable["name"]
        for pod in pods().values()
        for variable in pod["spec"]["containers"][0].get("env", ())
    }
    assert names <= {*SETTINGS, *FILE_VARIABLES}


def test_the_compose_file_agrees_with_itself():
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    for name, service in compose["services"].items():
        assert set(service.get("depends_on", ())) <= set(compose["services"]), name
        assert set(service["networks"]) <= set(compose["networks"]), name
        assert set(service.get("secrets", ())) <= set(compose["secrets"]), name
        for dependency, condition in service.get("depends_on", {}).items():
            is_checked = not compose["services"][dependency].get("healthcheck", {}).get("disable")
            assert condition["condition"] != "service_healthy" or is_checked, name
    portals = [compose["services"][name] for name in ("web", "worker", "migrate")]
    assert all(service["read_only"] and service["cap_drop"] == ["ALL"] for service in portals)
    names = {name for service in portals for name in service["environment"]}
    assert names <= {*SETTINGS, *FILE_VARIABLES}
    assert "AUDIT_SIGNING_KEY_FILE" not in compose["services"]["web"]["environment"]


def test_secrets_of_the_compose_file_are_made_once(tmp_path):
    folder = tmp_path / "secrets"
    command = [sys.executable, DEPLOY / "make-secrets", folder]
    subprocess.run(command, check=True, capture_output=True)
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    files = {Path(secret["file"]).name for secret in compose["secrets"].values()}
    assert {path.name for path in folder.iterdir()} == files
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o400}
    again = subprocess.run(command, capture_output=True, text=True)
    assert again.returncode == 1
    assert "Nothing was replaced." in again.stderr


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.stem)
def test_units_are_hardened(unit):
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("systemd-analyze is missing")
    check = subprocess.run(
        [str(program), "security", "--offline=yes", unit], capture_output=True, text=True
    )
    level = re.search(r"exposure level for .*?: ([\d.]+)", check.stdout)
    assert level, check.stderr
    assert float(level[1]) < EXPOSURE_LIMIT


def test_the_web_unit_has_no_signing_key():
    web, worker = (path.read_text() for path in UNITS)
    assert "audit.key" in worker
    assert "audit.key" not in web


def test_units_restart_and_drain():
    for unit in UNITS:
        text = unit.read_text()
        assert "Restart=always" in text
        assert "KillMode=mixed" in text
