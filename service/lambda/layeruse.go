package lambda

import (
	"strings"

	"github.com/enfold-run/enfold/aws"
)

// maxLayers is how many layers a function may use.
const maxLayers = 5

// checkLayerList checks the form of a function's Layers. Whether they are there is for the transaction.
func checkLayerList(arns []string) error {
	if len(arns) > maxLayers {
		return invalid("Cannot reference more than %d layers.", maxLayers)
	}
	for _, arn := range arns {
		if id, ok := parseLayerArn(arn); !ok || id.version == 0 {
			return aws.ErrValidation.Withf("1 validation error detected: Value '[%s]' at 'layers' failed to satisfy constraint: "+
				"Member must satisfy constraint: [Member must have length less than or equal to 2048, Member must have length greater "+
				"than or equal to 1, Member must satisfy regular expression pattern: %s, Member must not be null]",
				strings.Join(arns, ", "), layerVersionPattern)
		}
	}
	return nil
}

// resolveLayers sets a configuration's layers and checks how large everything is together.
func (e *edit) resolveLayers(c *config, arns []string) error {
	c.Layers = nil
	seen := map[string]string{} // layer -> its version's ARN
	for _, arn := range arns {
		id, _ := parseLayerArn(arn)
		if id.scope.Region != e.scope.Region {
			return invalid("Layers are not in the same region as the function. Layers are expected to be in region %s.", e.scope.Region)
		}
		if id.scope.Account != e.scope.Account {
			// Whether this caller may use it was decided before the call, on the same policy: see the op's further permissions.
			// Without any policy it is nobody's but its owner's.
			p, err := getLayerPolicy(e.tx, id)
			if p == nil {
				return cmpErr(err, denied(e.call, "lambda:GetLayerVersion", arn))
			}
		}
		l, err := getLayerVersion(e.tx, id)
		if l == nil {
			return cmpErr(err, invalid("Layer version %s does not exist.", arn))
		}
		if l.Extension != "" {
			return unsupported("extensions, and layer version " + arn + " has " + quote("/opt/extensions/"+l.Extension))
		}
		layer := layerArn(id.scope, id.name)
		if other, ok := seen[layer]; ok {
			return invalid("Two different versions of the same layer are not allowed to be referenced in the same function. "+
				"%s and %s are versions of the same layer.", other, arn)
		}
		seen[layer] = arn
		c.Layers = append(c.Layers, layerRef{Arn: arn, Code: l.Code})
	}
	return checkTotal(c)
}

// checkTotal refuses code and layers that are too large together.
func checkTotal(c *config) error {
	var n int64
	for _, l := range c.Layers {
		n += l.Code.Unzipped
	}
	if n > maxUnzipped {
		return invalid("Layers consume more than the available size of %d bytes", maxUnzipped)
	}
	if n += c.Code.Unzipped; n > maxUnzipped {
		return invalid("Function code combined with layers exceeds the maximum allowed size of %d bytes. The actual size is %d bytes.",
			maxUnzipped, n)
	}
	return nil
}
