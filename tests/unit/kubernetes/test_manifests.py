"""The charts, rendered in both profiles: security, probes, limits, secrets, names and drains."""

import json
import re
import subprocess
import sys
from importlib.metadata import version
from string import Template
from typing import Final

import helm_python
import pytest
import yaml
from dotenv import dotenv_values

from local_stack import generated_secrets
from local_stack.components import components, trino
from payment_operations import cluster_release, cluster_secrets
from payment_pipeline.catalog_settings import PRINCIPALS_SECRETS
from payment_pipeline.gateway import server as gateway_server
from payment_pipeline.inference import __main__ as inference_process
from payment_pipeline.normalizer import normalize_loop
from payment_pipeline.orchestrator.worker import assembly
from payment_pipeline.settings import Settings, variable
from support.manifests import PROFILES, Manifest, containers, manifests, named, of_kind, pods
from support.repository import ROOT

FACTS: Final = yaml.safe_load((cluster_release.FOLDER / "payments/files/services.yaml").read_text())
VERSIONS: Final = dotenv_values(ROOT / "infrastructure/versions.env")
PIPELINE: Final = ("gateway", "normalizer", "dispatcher", "worker", "inference")

each_profile = pytest.mark.parametrize("profile", PROFILES)


def is_ours(pod: Manifest) -> bool:
    return bool(pod["metadata"]["labels"]["app.kubernetes.io/part-of"] == "payments")


@each_profile
def test_helm_finds_nothing_wrong(profile: str) -> None:
    for chart in cluster_release.charts(profile):
        report = helm_python.lint(chart.path, chart.values, namespace="lakehouse")
        serious = [each for each in report["messages"] if each["severity"] > 1]
        assert not report["errors"]
        assert not serious


@each_profile
def test_every_pod_is_restricted(profile: str) -> None:
    """The rules of Kubernetes' pod security standard "restricted"."""
    for name, pod in pods(profile).items():
        spec = pod["spec"]
        assert spec["automountServiceAccountToken"] is False, name
        assert spec["securityContext"]["runAsNonRoot"] is True, name
        assert spec["securityContext"]["runAsUser"] > 0, name
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys(), name
        for container in containers(pod):
            security = container["securityContext"]
            assert security["allowPrivilegeEscalation"] is False, name
            assert security["capabilities"] == {"drop": ["ALL"]}, name
            assert not is_ours(pod) or security["readOnlyRootFilesystem"] is True, name
        for volume in spec.get("volumes", ()):
            assert "hostPath" not in volume, name


@each_profile
def test_every_container_has_requests_and_a_limit_of_memory(profile: str) -> None:
    for name, pod in pods(profile).items():
        for container in containers(pod):
            assert {"cpu", "memory"} <= container["resources"]["requests"].keys(), name
            assert "memory" in container["resources"]["limits"], name


@each_profile
def test_every_server_has_probes(profile: str) -> None:
    for each in of_kind(profile, "Deployment", "StatefulSet"):
        for container in each["spec"]["template"]["spec"]["containers"]:
            assert {"readinessProbe", "livenessProbe"} <= container.keys(), each["metadata"]


@each_profile
def test_liveness_asks_no_store(profile: str) -> None:
    """A restart repairs no store that is down, and would end the work of every pod."""
    for name in PIPELINE:
        [container] = pods(profile)[name]["spec"]["containers"]
        assert container["livenessProbe"]["httpGet"]["path"] == "/livez"
        assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"


@each_profile
def test_no_manifest_holds_a_secret(profile: str) -> None:
    for each in manifests(profile):
        assert each["kind"] != "Secret"
    for name, pod in pods(profile).items():
        for container in containers(pod):
            for given in container.get("env", ()):
                if re.search("PASSWORD|SECRET|KEY|CREDENTIAL|TOKEN", given["name"]):
                    by_file = given["name"].endswith("_FILE")
                    assert by_file or "secretKeyRef" in given["valueFrom"], name


@each_profile
def test_every_variable_is_a_setting(profile: str) -> None:
    known = {variable(name) for name in Settings.model_fields}
    given = {
        variable_of["name"]
        for pod in pods(profile).values()
        for container in containers(pod)
        for variable_of in container.get("env", ())
    }
    given |= named(profile, "ConfigMap", "payments-settings")["data"].keys()
    assert {name for name in given if name.startswith("PAYMENTS_")} <= known


@each_profile
def test_the_services_accept_their_settings(profile: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every value is valid, and no two contradict each other."""
    settings = named(profile, "ConfigMap", "payments-settings")
    for name in PIPELINE:
        [container] = pods(profile)[name]["spec"]["containers"]
        env = {each["name"]: each.get("value", "from-a-secret") for each in container["env"]}
        with monkeypatch.context() as patched:
            for variable_name, value in {**settings["data"], **env}.items():
                patched.setenv(variable_name, value)
            accepted = Settings()
        assert accepted.inference == "http://inference:8001"
        encrypted = accepted.kafka_security_protocol == "SASL_SSL"
        assert encrypted == (profile == "production" and "kafka" in FACTS[name].get("calls", ()))


def test_the_schema_names_every_setting() -> None:
    """After a change of the settings: write the names into `values.schema.json`."""
    schema = json.loads((cluster_release.FOLDER / "payments/values.schema.json").read_text())
    public = {
        variable(name)
        for name, field in Settings.model_fields.items()
        if "SecretStr" not in str(field.annotation)
    }
    assert schema["properties"]["settings"]["propertyNames"]["enum"] == sorted(public)


@pytest.mark.parametrize(
    "typo",
    [
        {"replicas": 2},
        {"services": {"gatway": {"replicas": 2}}},
        {"services": {"gateway": {"replica": 2}}},
        {"settings": {"PAYMENTS_KAFKA_PARTITION": 8}},
        {"image": {"pullPolicy": "Sometimes"}},
    ],
    ids=str,
)
def test_a_typo_in_the_values_is_refused(typo: dict[str, object]) -> None:
    with (
        helm_python.Chart.load(cluster_release.FOLDER / "payments") as chart,
        pytest.raises(helm_python.HelmError),
    ):
        chart.render(typo, name="payments")


@each_profile
def test_the_images_have_the_versions_of_the_product_and_of_the_native_stack(profile: str) -> None:
    known = {
        "apache/kafka": VERSIONS["KAFKA_VERSION"],
        "postgres": VERSIONS["POSTGRES_VERSION"],
        "temporalio/temporal": VERSIONS["TEMPORAL_CLI_VERSION"],
        "chrislusf/seaweedfs": VERSIONS["SEAWEEDFS_VERSION"],
        "apache/polaris": VERSIONS["POLARIS_VERSION"],
        "apache/polaris-admin-tool": VERSIONS["POLARIS_VERSION"],
        "trinodb/trino": VERSIONS["TRINO_VERSION"],
        **dict.fromkeys(("pipeline", "dagster", "superset"), version("payment-pipeline")),
    }
    found = 0
    for pod in pods(profile).values():
        for container in containers(pod):
            name, _, tag = container["image"].rpartition(":")
            found += 1
            assert tag == known[name.split("payments/")[-1]], container["image"]
    assert found
    for each in of_kind(profile, "Kafka"):
        assert each["spec"]["kafka"]["version"] == VERSIONS["KAFKA_VERSION"]
    for each in of_kind(profile, "Cluster"):
        assert each["spec"]["imageName"].endswith(f":{VERSIONS['POSTGRES_VERSION']}")


def test_a_service_is_what_the_native_stack_runs() -> None:
    defaults = Settings.model_construct()
    for name, fact in FACTS.items():
        component = components()[name]
        assert component.command(defaults)[1:] == ["-m", fact["module"]]
        ports = {getattr(defaults, port) for port in component.ports}
        assert {fact["probes"], fact.get("port", fact["probes"])} == ports


@each_profile
def test_a_pod_sees_only_its_own_secrets(profile: str) -> None:
    asked = {
        name: {
            item["key"]
            for volume in pods(profile)[name]["spec"]["volumes"]
            if volume["name"] == "secrets"
            for item in volume["secret"]["items"]
        }
        for name in PIPELINE
    }
    assert asked == {
        "gateway": {"webhook_secrets_stripe"},
        "normalizer": {"pseudonym_key"},
        "dispatcher": set(),
        "worker": {"postgres_worker_password", "inference_token"},
        "inference": {"inference_token"},
    }


def test_every_secret_of_the_manifests_is_generated() -> None:
    needed: set[str] = set()
    for pod in pods("dev").values():
        for volume in pod["spec"].get("volumes", ()):
            secret = volume.get("secret", {})
            if secret.get("secretName") == cluster_secrets.NAME:
                needed |= {item["key"] for item in secret["items"]}
        for container in containers(pod):
            for given in container.get("env", ()):
                if "secretKeyRef" in given.get("valueFrom", {}):
                    needed.add(given["valueFrom"]["secretKeyRef"]["key"])
    assert needed
    assert needed <= {*generated_secrets.names()}


def test_only_production_has_principals_in_the_catalog() -> None:
    """The job gets all of their secrets, and each pod the secrets of the principals that it is."""
    asked = {
        profile: {
            name: {
                item["key"]
                for volume in pod["spec"].get("volumes", ())
                if volume["name"] == "secrets"
                for item in volume.get("secret", {}).get("items", ())
                if item["key"] in PRINCIPALS_SECRETS
            }
            for name, pod in pods(profile).items()
        }
        for profile in PROFILES
    }
    assert not any(asked["dev"].values())
    assert {name: keys for name, keys in asked["production"].items() if keys} == {
        "catalog": {*PRINCIPALS_SECRETS},
        "toolbox": {*PRINCIPALS_SECRETS},
        "dagster": {"catalog_loader_secret", "catalog_maintenance_secret"},
        "lake-metrics": {"catalog_loader_secret"},
    }


def test_trino_has_the_same_rules_in_production_as_in_the_native_stack() -> None:
    values = yaml.safe_load((cluster_release.FOLDER / "operators/trino.yaml").read_text())
    names = {"user": Settings().trino_user, "reader": Settings().trino_reader}
    native = Template((trino.TEMPLATES / "rules.json").read_text()).substitute(names)
    assert json.loads(values["accessControl"]["rules"]["rules.json"]) == json.loads(native)


@each_profile
def test_a_pod_is_killed_only_after_its_drain(profile: str) -> None:
    """The pause before SIGTERM, the longest drain of the code, and a margin of 5 s."""
    drains_s = {
        "gateway": gateway_server.DRAIN_S,
        "normalizer": normalize_loop.STOP_PATIENCE_S,
        "worker": assembly.STOP_GRACE.total_seconds(),
        "inference": inference_process.DRAIN_S,
        "dispatcher": 0,
    }
    for name, drain_s in drains_s.items():
        spec = pods(profile)[name]["spec"]
        before = spec["containers"][0].get("lifecycle", {"preStop": {"sleep": {"seconds": 0}}})
        unrouted_s = before["preStop"]["sleep"]["seconds"]
        assert spec["terminationGracePeriodSeconds"] >= unrouted_s + drain_s + 5, name
    for name in ("gateway", "inference"):
        assert "preStop" in pods(profile)[name]["spec"]["containers"][0]["lifecycle"], name


@each_profile
def test_the_migrations_run_before_the_new_version(profile: str) -> None:
    [job] = [each for each in of_kind(profile, "Job") if each["metadata"]["name"] == "migrate"]
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"


def test_production_has_what_keeps_it_up() -> None:
    budgets = {each["metadata"]["name"] for each in of_kind("production", "PodDisruptionBudget")}
    policies = {each["metadata"]["name"] for each in of_kind("production", "NetworkPolicy")}
    assert {*PIPELINE} <= budgets
    assert {*PIPELINE} <= policies
    scaled = {
        each["metadata"]["name"]
        for each in of_kind("production", "ScaledObject", "HorizontalPodAutoscaler")
    }
    assert scaled == {"gateway", "normalizer", "worker"}
    for name in PIPELINE:
        spec = pods("production")[name]["spec"]
        assert spec["topologySpreadConstraints"], name
        assert spec["affinity"]["podAntiAffinity"], name
    [ingress] = of_kind("production", "Ingress")
    assert ingress["spec"]["tls"]
    [path] = ingress["spec"]["rules"][0]["http"]["paths"]
    assert path["path"] == "/webhooks/"


def test_production_keeps_an_acknowledged_event_on_two_brokers() -> None:
    [kafka] = of_kind("production", "Kafka")
    config = kafka["spec"]["kafka"]["config"]
    assert config["default.replication.factor"] == 3
    assert config["min.insync.replicas"] == 2
    assert config["unclean.leader.election.enable"] == "false"
    [brokers] = [
        each
        for each in of_kind("production", "KafkaNodePool")
        if each["metadata"]["name"] == "broker"
    ]
    assert brokers["spec"]["replicas"] == 3
    settings = named("production", "ConfigMap", "payments-settings")
    assert settings["data"]["PAYMENTS_KAFKA_REPLICATION_FACTOR"] == "3"


def test_each_service_may_do_in_kafka_only_what_it_does() -> None:
    users = {each["metadata"]["name"]: each for each in of_kind("production", "KafkaUser")}
    logins = {
        given["value"]
        for pod in pods("production").values()
        for container in containers(pod)
        for given in container.get("env", ())
        if given["name"] == "PAYMENTS_KAFKA_USER"
    }
    assert logins <= users.keys()
    for name in ("gateway", "normalizer", "dispatcher", "worker"):
        assert f"payments-{name}" in users
    rights = {
        (acl["resource"]["name"], operation)
        for acl in users["payments-gateway"]["spec"]["authorization"]["acls"]
        for operation in acl["operations"]
    }
    assert rights == {("webhooks.", "Write"), ("webhooks.", "Describe")}


def test_the_rendered_manifests_can_be_piped_to_kubectl() -> None:
    command = [sys.executable, "-m", "payment_operations.cli", "cluster", "render"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    printed = [each for each in yaml.safe_load_all(done.stdout) if each]
    assert printed == [*manifests("dev")]
