{{- /*
SPDX-FileCopyrightText: The zerospan authors
SPDX-License-Identifier: Apache-2.0
*/ -}}
{{- define "zerospan.labels" -}}
app.kubernetes.io/name: zerospan
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}
