{{/* The name of everything that the release has one of. */}}
{{- define "streamdex.name" -}}
{{- if contains "streamdex" .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-streamdex" .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* What selects the pods of `run`; it never changes in the life of a release. */}}
{{- define "streamdex.selector" -}}
app.kubernetes.io/name: streamdex
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: run
{{- end -}}

{{- define "streamdex.labels" -}}
app.kubernetes.io/name: streamdex
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "streamdex.account" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "streamdex.name" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "streamdex.configMap" -}}
{{- default (include "streamdex.name" .) .Values.existingConfigMap -}}
{{- end -}}

{{- define "streamdex.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end -}}

{{/* A pod with one container of the program. `arguments`: what the program does; `root`: the chart; `isReader`: it serves probes. */}}
{{- define "streamdex.pod" -}}
{{- $root := .root -}}
{{- with $root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
serviceAccountName: {{ .account }}
# Credentials of AWS come from another token, which EKS mounts by itself.
automountServiceAccountToken: false
{{- with $root.Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
# The reader gives its lease back, and writes what is in hand, within 10 s.
terminationGracePeriodSeconds: 30
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  # So that the token of AWS and files of Secrets can be read.
  fsGroup: 65532
  seccompProfile: {type: RuntimeDefault}
containers:
  - name: streamdex
    image: {{ include "streamdex.image" $root | quote }}
    imagePullPolicy: {{ $root.Values.image.pullPolicy }}
    args:
      {{- toYaml (concat (list "--log-format" "json") .arguments) | nindent 6 }}
    env:
      - {name: STREAMDEX_CONFIG, value: /etc/streamdex/streamdex.toml}
      {{- with $root.Values.region }}
      - {name: AWS_REGION, value: {{ . | quote }}}
      {{- end }}
      {{- with $root.Values.env }}
      {{- toYaml . | nindent 6 }}
      {{- end }}
    {{- with $root.Values.envFrom }}
    envFrom:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    {{- if .isReader }}
    ports:
      - {name: http, containerPort: 9464, protocol: TCP}
    # The first start may wait for the state table and OpenSearch: a process that waits is alive.
    livenessProbe:
      httpGet: {path: /livez, port: http}
      periodSeconds: 10
      timeoutSeconds: 5
      failureThreshold: 3
    readinessProbe:
      httpGet: {path: /readyz, port: http}
      periodSeconds: 5
      timeoutSeconds: 5
    {{- end }}
    securityContext:
      allowPrivilegeEscalation: false
      readOnlyRootFilesystem: true
      capabilities: {drop: [ALL]}
    resources:
      {{- toYaml $root.Values.resources | nindent 6 }}
    volumeMounts:
      - {name: configuration, mountPath: /etc/streamdex, readOnly: true}
      - {name: files, mountPath: /var/lib/streamdex}
      {{- range $root.Values.secrets }}
      - {name: {{ printf "secret-%s" .name | quote }}, mountPath: {{ .mountPath | quote }}, readOnly: true}
      {{- end }}
volumes:
  - name: configuration
    configMap: {name: {{ .configMap | quote }}}
  - name: files
    emptyDir: {sizeLimit: {{ $root.Values.filesSizeLimit }}}
  {{- range $root.Values.secrets }}
  - name: {{ printf "secret-%s" .name | quote }}
    secret: {secretName: {{ .name | quote }}, defaultMode: 0440}
  {{- end }}
{{- with $root.Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $root.Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $root.Values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}
