{{/* Of pods that `helm test` runs: the operator's Service and its budget must not take them for the operator. */}}
{{- define "sluice.testLabels" -}}
{{- merge (dict "app.kubernetes.io/component" "test") (include "sluice.labels" . | fromYaml) | toYaml }}
{{- end }}

{{/* The pod's specification: with `arguments`, which are YAML; whether it has the account's `token`; and a `configMap` to read. */}}
{{- define "sluice.testPod" -}}
restartPolicy: Never
automountServiceAccountToken: {{ .token }}
serviceAccountName: {{ include "sluice.serviceAccountName" .root }}
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  {{- include "sluice.podSecurityContext" .root | nindent 2 }}
enableServiceLinks: false
containers:
  - name: check
    image: {{ include "sluice.image" .root | quote }}
    imagePullPolicy: {{ .root.Values.image.pullPolicy }}
    args:
      {{- .arguments | nindent 6 }}
    securityContext:
      {{- include "sluice.securityContext" .root | nindent 6 }}
    resources:
      {{- toYaml .root.Values.resources | nindent 6 }}
    {{- with .configMap }}
    volumeMounts:
      - name: files
        mountPath: /etc/sluice
        readOnly: true
    {{- end }}
{{- with .configMap }}
volumes:
  - name: files
    configMap:
      name: {{ . }}
{{- end }}
{{- with .root.Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .root.Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
