{{/* The operator's pod. */}}
{{- define "sluice.pod" -}}
serviceAccountName: {{ include "sluice.serviceAccountName" . }}
automountServiceAccountToken: true
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  {{- include "sluice.podSecurityContext" . | nindent 2 }}
{{- if not .Values.hostUsers }}
hostUsers: false
{{- end }}
terminationGracePeriodSeconds: {{ .Values.terminationGracePeriodSeconds }}
enableServiceLinks: false
containers:
  - name: operator
    image: {{ include "sluice.image" . | quote }}
    imagePullPolicy: {{ .Values.image.pullPolicy }}
    args:
      {{- include "sluice.arguments" . | nindent 6 }}
    {{- with .Values.extraEnv }}
    env:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    ports:
      - name: http
        containerPort: 8080
        protocol: TCP
      {{- if .Values.webhook.enabled }}
      - name: alerts
        containerPort: 8090
        protocol: TCP
      {{- end }}
    livenessProbe:
      httpGet:
        path: /livez
        port: http
      periodSeconds: 10
      timeoutSeconds: 3
      failureThreshold: 3
    readinessProbe:
      httpGet:
        path: /readyz
        port: http
      periodSeconds: 5
      timeoutSeconds: 3
      failureThreshold: 3
    securityContext:
      {{- include "sluice.securityContext" . | nindent 6 }}
    resources:
      {{- toYaml .Values.resources | nindent 6 }}
    {{- $webhook := include "sluice.webhookSecrets" . | fromYamlArray }}
    {{- if or $webhook .Values.extraVolumeMounts }}
    volumeMounts:
      {{- range $webhook }}
      - name: {{ .volume }}
        mountPath: {{ .folder }}
        readOnly: true
      {{- end }}
      {{- with .Values.extraVolumeMounts }}
      {{- toYaml . | nindent 6 }}
      {{- end }}
    {{- end }}
{{- if or $webhook .Values.extraVolumes }}
volumes:
  {{- range $webhook }}
  - name: {{ .volume }}
    secret:
      secretName: {{ .secret }}
      items:
        {{- range .keys }}
        - key: {{ . }}
          path: {{ . }}
        {{- end }}
  {{- end }}
  {{- with .Values.extraVolumes }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- range . }}
  {{- $selector := dict "labelSelector" (dict "matchLabels" (include "sluice.selector" $ | fromYaml)) "matchLabelKeys" (list "pod-template-hash") }}
  - {{ merge (dict) . $selector | toYaml | nindent 4 | trim }}
  {{- end }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end }}

{{/* What `sluice-operator run` is told. */}}
{{- define "sluice.arguments" -}}
- run
- --listen=0.0.0.0:8080
{{- with .Values.watchNamespaces }}
- --namespaces={{ join "," . }}
{{- end }}
{{- include "sluice.leaseArguments" . }}
- --concurrency={{ .Values.concurrency }}
- --resync-seconds={{ .Values.resyncSeconds }}
- --evaluate-seconds={{ .Values.evaluateSeconds }}
- --broker-image={{ .Values.brokers.image }}
{{- with .Values.prometheus.url }}
- --prometheus-url={{ . }}
{{- end }}
- --log={{ .Values.logLevel }}
- --log-format={{ .Values.logFormat }}
{{- include "sluice.webhookArguments" . }}
{{- range .Values.extraArgs }}
- {{ . | quote }}
{{- end }}
{{- end }}
