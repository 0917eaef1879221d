{{/* The image of a part (pipeline, dagster, superset): the registry of the values, the version of the chart. */}}
{{- define "payments.image" -}}
{{- $image := .root.Values.image -}}
{{- with $image.registry }}{{ . }}/{{ end }}payments/{{ .part }}:{{ $image.tag | default .root.Chart.AppVersion }}
{{- end }}

{{- define "payments.labels" -}}
app.kubernetes.io/part-of: payments
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ .root.Chart.Name }}-{{ .root.Chart.Version }}
{{ include "payments.selector" . }}
{{- end }}

{{- define "payments.selector" -}}
app.kubernetes.io/name: {{ .name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- end }}

{{/* The settings of every process, as a YAML map. */}}
{{- define "payments.settings" -}}
{{- range $name, $value := .Values.settings }}
{{ $name }}: {{ if kindIs "float64" $value }}{{ if eq (floor $value) $value }}{{ int64 $value | toString | quote }}{{ else }}{{ $value | toString | quote }}{{ end }}{{ else }}{{ $value | toString | quote }}{{ end }}
{{- end }}
{{- end }}

{{/* What "restricted" pod security asks of a pod; and of a container, whose file system is also read-only. */}}
{{- define "payments.podSecurity" -}}
automountServiceAccountToken: {{ .token | default false }}
enableServiceLinks: false
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: {{ .root.Values.user }}
  runAsGroup: {{ .root.Values.user }}
  fsGroup: {{ .root.Values.user }}
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile:
    type: RuntimeDefault
{{- end }}
{{- define "payments.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
{{- end }}

{{/* Spread over zones and nodes: replicas that share a node fail together. */}}
{{- define "payments.spread" -}}
{{- if .root.Values.spread }}
affinity:
  podAntiAffinity:
    preferredDuringSchedulingIgnoredDuringExecution:
      - weight: 100
        podAffinityTerm:
          topologyKey: kubernetes.io/hostname
          labelSelector:
            matchLabels:
              {{- include "payments.selector" . | nindent 14 }}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: topology.kubernetes.io/zone
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "payments.selector" . | nindent 8 }}
{{- end }}
{{- end }}

{{/* One secret as an environment variable. Kubernetes replaces $(VARIABLE) in the variables after it. */}}
{{- define "payments.secretVariable" -}}
- name: {{ .variable }}
  valueFrom:
    secretKeyRef:
      name: {{ .root.Values.secrets.name }}
      key: {{ .key }}
{{- end }}

{{/* The DSN of the database's owner. The manifest holds only the reference to its password. */}}
{{- define "payments.ownerDsn" -}}
{{ include "payments.secretVariable" (dict "root" . "variable" "PAYMENTS_POSTGRES_PASSWORD" "key" "postgres_password") }}
- name: PAYMENTS_POSTGRES_DSN
  value: postgresql://payments:$(PAYMENTS_POSTGRES_PASSWORD)@{{ .Values.settings.PAYMENTS_POSTGRES_ADDRESS }}/payments
{{- end }}

{{/* The login at Kafka: each service is a user of its own, whose Secret Strimzi makes. The processes
     that don't use Kafka refuse these settings without a user. */}}
{{- define "payments.kafkaUser" -}}
{{- if .root.Values.kafka.users }}
- name: PAYMENTS_KAFKA_SECURITY_PROTOCOL
  value: SASL_SSL
- name: PAYMENTS_KAFKA_AUTHORITIES
  value: /var/lib/payments/authorities/kafka/ca.crt
- name: PAYMENTS_KAFKA_USER
  value: payments-{{ .name }}
- name: PAYMENTS_KAFKA_PASSWORD
  valueFrom:
    secretKeyRef:
      name: payments-{{ .name }}
      key: password
{{- end }}
{{- end }}

{{/* Variables and mounts of authorities (PEM) that certify the stores, from Secrets or ConfigMaps. */}}
{{- define "payments.authorityMounts" -}}
{{- range $store, $secret := .Values.authorities }}
- name: authority-{{ $store }}
  mountPath: /var/lib/payments/authorities/{{ $store }}
  readOnly: true
{{- end }}
{{- end }}
{{- define "payments.authorityVolumes" -}}
{{- range $store, $secret := .Values.authorities }}
- name: authority-{{ $store }}
  secret:
    secretName: {{ $secret }}
    defaultMode: 0440
    items:
      - key: ca.crt
        path: ca.crt
{{- end }}
{{- end }}

{{/* The names of a service's secrets: `webhook_secrets` stands for those of every provider. The secrets
     of the catalog's principals are left out if clients don't log in as principals. */}}
{{- define "payments.secretNames" -}}
{{- $principals := eq (toString (index .root.Values.settings "PAYMENTS_CATALOG_PRINCIPALS")) "true" -}}
{{- range .secrets }}
{{- if eq . "webhook_secrets" }}
{{- range $.root.Values.providers }}
- webhook_secrets_{{ . }}
{{- end }}
{{- else if or $principals (not (regexMatch "^catalog_.*_secret$" .)) }}
- {{ . }}
{{- end }}
{{- end }}
{{- end }}
{{- define "payments.secretVolume" -}}
- name: secrets
  secret:
    secretName: {{ .root.Values.secrets.name }}
    defaultMode: 0440
    items:
      {{- range include "payments.secretNames" . | fromYamlArray }}
      - key: {{ . }}
        path: {{ . }}
      {{- end }}
{{- end }}
