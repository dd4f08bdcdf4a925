{{/* Labels of every object of the release, beside its own. */}}
{{- define "registry-mirror-operator.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: registry-mirror-operator
{{- with .Values.labels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* The one image of all pods. */}}
{{- define "registry-mirror-operator.image" -}}
{{- $image := .Values.image -}}
{{- if $image.digest -}}
{{ $image.repository }}@{{ $image.digest }}
{{- else -}}
{{ $image.repository }}:{{ $image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end }}

{{/* For the pods that the operator makes: comma-separated. */}}
{{- define "registry-mirror-operator.imagePullSecretNames" -}}
{{- $names := list -}}
{{- range .Values.imagePullSecrets }}{{ $names = append $names .name }}{{ end -}}
{{- join "," $names -}}
{{- end }}

{{/* Where the shared node agents answer: the first of NODE_PORTS. */}}
{{- define "registry-mirror-operator.statusPort" -}}
{{- get .Values.operator.env "NODE_PORTS" | default "29000-29999" | toString | splitList "-" | first -}}
{{- end }}

{{/* A variable's value as text: whole numbers of values.yaml come as floating-point ones. */}}
{{- define "registry-mirror-operator.text" -}}
{{- if kindIs "float64" . }}{{ printf "%d" (int64 .) }}{{ else }}{{ toString . }}{{ end -}}
{{- end }}

{{/* What the schema cannot say of the values. */}}
{{- define "registry-mirror-operator.check" -}}
{{- if and (has .Values.rewriting.engine (list "webhook" "auto")) (not .Values.webhook.enabled) -}}
{{- fail (printf "webhook.enabled: expected true with rewriting.engine %s, got false" .Values.rewriting.engine) -}}
{{- end -}}
{{- $own := dict
  "NAMESPACE" "the release's namespace"
  "POD_NAME" "the pod's name"
  "ADDRESSING_SCHEME" "addressingScheme"
  "NODE_DAEMONSETS" "nodeDaemonSets"
  "REWRITE_ENGINE" "rewriting.engine"
  "IMAGESWAP_NAMESPACE" "imageswapNamespace"
  "IMAGE_PULL_SECRETS" "imagePullSecrets"
  "HOSTESS_DOCKER_IMAGE" "hostessImage"
  "HOSTESS_DOCKER_TAG" "hostessImage"
  "HTTP_PORT" "the port of the probes, 8080"
  "WEBHOOK_PORT" "the port of the webhook's Service, 8443"
-}}
{{- range $group := list "operator" "webhook" "rewriting" -}}
{{- range $name, $value := (get $.Values $group).env -}}
{{- with get $own $name -}}
{{- fail (printf "%s.env.%s: expected another variable, this one is set by %s" $group $name .) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- range $group := list "operator" "webhook" -}}
{{- range $name := list "app.kubernetes.io/name" "app.kubernetes.io/managed-by" -}}
{{- if hasKey (get $.Values $group).podLabels $name -}}
{{- fail (printf "%s.podLabels: expected other labels than %s, which is the chart's" $group $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}
