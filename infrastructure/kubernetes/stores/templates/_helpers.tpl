{{- define "stores.image" -}}
{{- with .root.Values.image.registry }}{{ . }}/{{ end }}{{ .image }}
{{- end }}

{{- define "stores.labels" -}}
app.kubernetes.io/part-of: stores
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
{{ include "stores.selector" . }}
{{- end }}

{{- define "stores.selector" -}}
app.kubernetes.io/name: {{ .name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- end }}

{{/* What "restricted" pod security asks for; the user is the image's own. */}}
{{- define "stores.podSecurity" -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: {{ .user }}
  runAsGroup: {{ .user }}
  fsGroup: {{ .user }}
  seccompProfile:
    type: RuntimeDefault
{{- end }}
{{- define "stores.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  capabilities:
    drop: [ALL]
{{- end }}

{{- define "stores.secretVariable" -}}
- name: {{ .variable }}
  valueFrom:
    secretKeyRef:
      name: {{ .root.Values.secretName }}
      key: {{ .key }}
{{- end }}

{{/* The container that writes a server's configuration, up to its own variables: the same code does it
     for the native stack. */}}
{{- define "stores.configuration" -}}
image: {{ .root.Values.configurationImage }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
command: [payments, run, {{ .server }}, --only-prepare]
{{ include "stores.containerSecurity" .root }}
resources:
  requests: {cpu: 50m, memory: 128Mi}
  limits: {memory: 512Mi}
env:
  - {name: PAYMENTS_HOST, value: {{ .server }}}
  - {name: PAYMENTS_VAR, value: /var/lib/payments}
{{- end }}

{{- define "stores.claim" -}}
volumeClaimTemplates:
  - metadata:
      name: data
    spec:
      accessModes: [ReadWriteOnce]
      {{- with .root.Values.storageClass }}
      storageClassName: {{ . }}
      {{- end }}
      resources:
        requests:
          storage: {{ .size }}
{{- end }}

{{/* A StatefulSet with one pod and one container, up to the container's own fields, and its service. */}}
{{- define "stores.service" -}}
---
apiVersion: v1
kind: Service
metadata:
  name: {{ .name }}
  labels:
    {{- include "stores.labels" . | nindent 4 }}
spec:
  # A store's own names must resolve before it is ready: Kafka's broker asks its own controller.
  publishNotReadyAddresses: {{ .unready | default false }}
  selector:
    {{- include "stores.selector" . | nindent 4 }}
  ports:
    {{- range $port, $number := .ports }}
    - name: {{ $port }}
      port: {{ $number }}
    {{- end }}
{{- end }}
{{- define "stores.statefulSet" -}}
apiVersion: apps/v1
kind: StatefulSet
metadata:
  name: {{ .name }}
  labels:
    {{- include "stores.labels" . | nindent 4 }}
spec:
  replicas: 1
  serviceName: {{ .name }}
  selector:
    matchLabels:
      {{- include "stores.selector" . | nindent 6 }}
  template:
    metadata:
      labels:
        {{- include "stores.labels" . | nindent 8 }}
    spec:
      {{- include "stores.podSecurity" . | nindent 6 }}
{{- end }}
