{{/* The secrets of a process that reads bronze and the lake, and transforms the lake. */}}
{{- define "payments.lakeSecrets" -}}
{{- $credential := ternary (list "catalog_credential") (list) .Values.lakehouse.catalogCredential -}}
{{- concat (list "postgres_lake_password" "postgres_reader_password" "s3_access_key" "s3_secret_key" "trino_password") $credential | toJson }}
{{- end }}

{{/* Dagster's database. Its address is a variable, because the launcher writes the configuration of the
     instance into each run's Job, which must not hold a password. */}}
{{- define "payments.dagsterDatabase" -}}
{{ include "payments.secretVariable" (dict "root" . "variable" "PAYMENTS_POSTGRES_DAGSTER_PASSWORD" "key" "postgres_dagster_password") }}
- name: PAYMENTS_DAGSTER_DSN
  value: postgresql://dagster:$(PAYMENTS_POSTGRES_DAGSTER_PASSWORD)@{{ .Values.settings.PAYMENTS_POSTGRES_ADDRESS }}/dagster
  {{- with .Values.settings.PAYMENTS_POSTGRES_AUTHORITIES }}?sslmode=verify-full&sslrootcert={{ . }}{{ end }}
{{- end }}

{{/* A container of Dagster, up to the last of its variables. */}}
{{- define "payments.dagsterContainer" -}}
image: {{ include "payments.image" (dict "root" .root "part" "dagster") }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
command: [payments, run, {{ .run }}]
{{ include "payments.containerSecurity" .root }}
envFrom:
  - configMapRef:
      name: payments-settings
env:
  - {name: PAYMENTS_HOST, value: 127.0.0.1}
  - {name: PAYMENTS_VAR, value: /var/lib/payments}
  - {name: DAGSTER_HOME, value: /var/lib/payments/dagster}
  {{- include "payments.dagsterDatabase" .root | nindent 2 }}
{{- end }}

{{/* Sections of dagster.yaml. Each run is a Job, whose pod has its own limits, secrets and folders. */}}
{{- define "payments.dagsterInstance" -}}
storage:
  postgres:
    postgres_url: {env: PAYMENTS_DAGSTER_DSN}
# A run's output is its pod's: `kubectl logs`. Its events are in the database.
compute_logs:
  module: dagster.core.storage.noop_compute_log_manager
  class: NoOpComputeLogManager
run_launcher:
  module: dagster_k8s
  class: K8sRunLauncher
  config:
    job_namespace: {{ .Release.Namespace }}
    job_image: {{ include "payments.image" (dict "root" . "part" "dagster") }}
    image_pull_policy: {{ .Values.image.pullPolicy }}
    dagster_home: /var/lib/payments/dagster
    # Demanded by the launcher, and not used: the run gets the configuration as an argument.
    instance_config_map: dagster-instance
    service_account_name: default
    run_k8s_config:
      job_spec_config:
        # Dagster itself starts a run again.
        backoffLimit: 0
        # A micro-batch a minute would leave a thousand Jobs a day.
        ttlSecondsAfterFinished: 1800
      pod_template_spec_metadata:
        labels:
          app.kubernetes.io/part-of: payments
          {{- include "payments.selector" (dict "root" . "name" "dagster-run") | nindent 10 }}
      pod_spec_config:
        {{- include "payments.podSecurity" (dict "root" .) | nindent 8 }}
        volumes:
          - name: tmp
            emptyDir: {sizeLimit: 1Gi}
          - name: var
            emptyDir: {sizeLimit: 2Gi}
          {{- include "payments.secretVolume" (dict "root" . "secrets" (include "payments.lakeSecrets" . | fromYamlArray)) | nindent 10 }}
          {{- include "payments.authorityVolumes" . | nindent 10 }}
      container_config:
        command: [python, -m, local_stack.dagster_run]
        {{- include "payments.containerSecurity" . | nindent 8 }}
        envFrom:
          - configMapRef: {name: payments-settings}
        env:
          - {name: PAYMENTS_VAR, value: /var/lib/payments}
          {{- include "payments.dagsterDatabase" . | nindent 10 }}
          {{- include "payments.kafkaUser" (dict "root" . "name" "dagster") | nindent 10 }}
        resources:
          {{- toYaml .Values.lakehouse.runResources | nindent 10 }}
        volumeMounts:
          - {name: tmp, mountPath: /tmp}
          - {name: var, mountPath: /var/lib/payments}
          - {name: secrets, mountPath: /var/lib/payments/secrets, readOnly: true}
          {{- include "payments.authorityMounts" . | nindent 10 }}
{{- end }}
