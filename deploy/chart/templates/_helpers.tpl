{{/* Labels of every object of the release, beside its own. */}}
{{- define "registry-mirror-operator.labels" -}}
{{- include "registry-mirror-operator.labelsWith" (list . (dict)) -}}
{{- end }}

{{/* The same with further ones: of `labels` first, then of a value for these objects. Each label once, whoever names it. */}}
{{- define "registry-mirror-operator.labelsWith" -}}
{{- $root := first . -}}
{{- $labels := dict
  "helm.sh/chart" (printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_")
  "app.kubernetes.io/instance" $root.Release.Name
  "app.kubernetes.io/version" $root.Chart.AppVersion
  "app.kubernetes.io/managed-by" $root.Release.Service
  "app.kubernetes.io/part-of" "registry-mirror-operator"
-}}
{{- range $given := list $root.Values.labels (last .) -}}
{{- range $name, $value := $given -}}
{{- $_ := set $labels $name $value -}}
{{- end -}}
{{- end -}}
{{- toYaml $labels -}}
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

{{/* How long the webhook may take to end: with the default of WEBHOOK_DRAIN_SECONDS, which is 5, the 30 seconds of deploy/. */}}
{{- define "registry-mirror-operator.webhookGraceSeconds" -}}
{{- $drain := get (merge (dict) .Values.webhook.env .Values.rewriting.env) "WEBHOOK_DRAIN_SECONDS" | default 5 -}}
{{- max 30 (add (ceil $drain) 25) -}}
{{- end }}

{{/* Seconds of uninstall.timeout. */}}
{{- define "registry-mirror-operator.uninstallSeconds" -}}
{{- $time := .Values.uninstall.timeout -}}
{{- mul (trimSuffix (regexFind "[smh]$" $time) $time | int) (get (dict "s" 1 "m" 60 "h" 3600) (regexFind "[smh]$" $time)) -}}
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
{{- range .Values.webhook.extraVolumes -}}
{{- if eq .name "certificate" -}}
{{- fail "webhook.extraVolumes: expected another name than certificate, which is the chart's" -}}
{{- end -}}
{{- end -}}
{{- $labels := dict
  "labels" .Values.labels
  "operator.podLabels" .Values.operator.podLabels
  "webhook.podLabels" .Values.webhook.podLabels
-}}
{{- range $path, $given := $labels -}}
{{- range $name := list "app.kubernetes.io/name" "app.kubernetes.io/managed-by" -}}
{{- if hasKey $given $name -}}
{{- fail (printf "%s: expected other labels than %s, which is the chart's" $path $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}
