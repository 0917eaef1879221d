"""The Job that Dagster's launcher makes of the chart's configuration for each run."""

from typing import Any

import kubernetes
import pytest
import yaml
from dagster import DagsterRun
from dagster._config import process_config, resolve_to_config_type
from dagster_k8s import K8sRunLauncher, launcher
from dagster_k8s.container_context import K8sContainerContext
from dagster_k8s.job import construct_dagster_k8s_job

from support.manifests import PROFILES, Manifest, named, pods

each_profile = pytest.mark.parametrize("profile", PROFILES)


def sections(profile: str) -> dict[str, Any]:
    """The sections of dagster.yaml that the chart gives."""
    text = named(profile, "ConfigMap", "dagster-instance")["data"]["sections.yaml"]
    found: dict[str, Any] = yaml.safe_load(text)
    return found


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch) -> dict[str, Manifest]:
    """The Job of a run in each profile, as the launcher sends it to the API server."""
    monkeypatch.setattr(launcher, "load_kubernetes_config", lambda **_: None)
    made = {}
    for profile in PROFILES:
        given = sections(profile)["run_launcher"]["config"]
        known = K8sRunLauncher.config_type()  # type: ignore[no-untyped-call]
        checked = process_config(resolve_to_config_type(known), given)
        assert checked.success, checked.errors
        ours = K8sRunLauncher(**(checked.value or {}))
        context = K8sContainerContext.create_for_run(DagsterRun("load"), ours, True)
        job = construct_dagster_k8s_job(
            context.get_k8s_job_config(None, ours),
            ["python", "-m", "dagster", "api", "execute_run", "{}"],
            "dagster-run",
            user_defined_k8s_config=context.run_k8s_config,
        )
        made[profile] = kubernetes.client.ApiClient().sanitize_for_serialization(job)
    return made


@each_profile
def test_a_run_is_restricted_and_limited(profile: str, jobs: dict[str, Manifest]) -> None:
    pod = jobs[profile]["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    [container] = pod["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {"cpu", "memory"} <= container["resources"]["requests"].keys()
    assert "memory" in container["resources"]["limits"]


@each_profile
def test_a_run_has_the_files_and_settings_that_the_code_server_has(
    profile: str, jobs: dict[str, Manifest]
) -> None:
    [code] = pods(profile)["dagster"]["spec"]["initContainers"]
    [run] = jobs[profile]["spec"]["template"]["spec"]["containers"]
    only_of_the_server = {"instance"}

    def mounted(container: Manifest) -> set[tuple[str, str]]:
        return {(each["name"], each["mountPath"]) for each in container["volumeMounts"]}

    assert {each for each in mounted(code) if each[0] not in only_of_the_server} == mounted(run)
    assert run["image"] == code["image"]
    assert run["envFrom"] == code["envFrom"]


@each_profile
def test_no_run_and_no_configuration_shows_a_password(
    profile: str, jobs: dict[str, Manifest]
) -> None:
    """The launcher writes the instance's configuration into each Job."""
    storage = sections(profile)["storage"]["postgres"]
    assert storage == {"postgres_url": {"env": "PAYMENTS_DAGSTER_DSN"}}
    [run] = jobs[profile]["spec"]["template"]["spec"]["containers"]
    for each in run["env"]:
        secret = "PASSWORD" in each["name"]
        assert secret == ("valueFrom" in each), each["name"]


@each_profile
def test_dagster_listens_to_no_other_pod(profile: str) -> None:
    pod = pods(profile)["dagster"]["spec"]
    for container in (*pod["initContainers"], *pod["containers"]):
        given = {each["name"]: each.get("value") for each in container["env"]}
        assert given["PAYMENTS_HOST"] == "127.0.0.1", container["name"]


@each_profile
def test_only_the_web_server_and_the_daemon_may_start_runs(profile: str) -> None:
    """The code server can execute any code, so it has no token of the API server."""
    pod = pods(profile)["dagster"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert "shareProcessNamespace" not in pod
    with_token = {
        container["name"]
        for container in (*pod["initContainers"], *pod["containers"])
        if "token" in {each["name"] for each in container["volumeMounts"]}
    }
    assert with_token == {"webserver", "daemon"}
    rules = named(profile, "Role", "dagster")["rules"]
    assert not [rule for rule in rules if "secrets" in rule["resources"] or "*" in rule["verbs"]]
