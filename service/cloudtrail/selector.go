package cloudtrail

import (
	"context"
	"slices"
	"strings"

	api "github.com/enfold-run/enfold/api/cloudtrail"
)

// Limits of a trail's selectors.
const (
	maxSelectors      = 5
	maxDataResources  = 250
	maxAdvancedValues = 500
)

// dataTypes are the resources that an event selector may name.
var dataTypes = []string{"AWS::S3::Object", "AWS::Lambda::Function", "AWS::DynamoDB::Table"}

// excludable are the sources whose management events a trail may leave out.
var excludable = []string{"kms.amazonaws.com", "rdsdata.amazonaws.com"}

// PutEventSelectors replaces a trail's selectors, of either form, by those of the input.
func (s *Service) PutEventSelectors(ctx context.Context, in *api.PutEventSelectorsInput) (*api.PutEventSelectorsOutput, error) {
	if err := checkSelectors(in); err != nil {
		return nil, err
	}
	f, err := s.change(ctx, *in.TrailName, func(t *trail) (*trail, error) {
		t.Selectors, t.Advanced = nil, in.AdvancedEventSelectors
		for _, sel := range in.EventSelectors {
			t.Selectors = append(t.Selectors, complete(sel))
		}
		return t, nil
	})
	if err != nil {
		return nil, err
	}
	return &api.PutEventSelectorsOutput{
		TrailARN: new(f.trail.arn(f.scope)), EventSelectors: f.trail.Selectors, AdvancedEventSelectors: f.trail.Advanced,
	}, nil
}

// GetEventSelectors answers a trail's selectors: all management events, if none were put.
func (s *Service) GetEventSelectors(ctx context.Context, in *api.GetEventSelectorsInput) (*api.GetEventSelectorsOutput, error) {
	f, err := s.get(ctx, *in.TrailName)
	if err != nil {
		return nil, err
	}
	out := &api.GetEventSelectorsOutput{
		TrailARN: new(f.trail.arn(f.scope)), EventSelectors: f.trail.Selectors, AdvancedEventSelectors: f.trail.Advanced,
	}
	if len(out.EventSelectors) == 0 && len(out.AdvancedEventSelectors) == 0 {
		out.EventSelectors = []*api.EventSelector{complete(&api.EventSelector{})}
	}
	return out, nil
}

// complete is a selector with AWS's defaults.
func complete(sel *api.EventSelector) *api.EventSelector {
	c := *sel
	if c.ReadWriteType == nil {
		c.ReadWriteType = new(api.ReadWriteTypeAll)
	}
	if c.IncludeManagementEvents == nil {
		c.IncludeManagementEvents = new(true)
	}
	if c.DataResources == nil {
		c.DataResources = []*api.DataResource{}
	}
	if c.ExcludeManagementEventSources == nil {
		c.ExcludeManagementEventSources = []string{}
	}
	return &c
}

func checkSelectors(in *api.PutEventSelectorsInput) error {
	wrong := api.ErrInvalidEventSelectors
	switch {
	case len(in.EventSelectors) == 0 && len(in.AdvancedEventSelectors) == 0:
		return wrong.New("You must specify event selectors or advanced event selectors.")
	case len(in.EventSelectors) > 0 && len(in.AdvancedEventSelectors) > 0:
		return wrong.New("You cannot specify both event selectors and advanced event selectors.")
	case len(in.EventSelectors) > maxSelectors:
		return wrong.Withf("A trail can have up to %d event selectors.", maxSelectors)
	}
	resources := 0
	for _, sel := range in.EventSelectors {
		for _, d := range sel.DataResources {
			if d.Type == nil || !slices.Contains(dataTypes, *d.Type) {
				return wrong.New("The data resource type is not valid. Valid values: " + strings.Join(dataTypes, ", ") + ".")
			}
			resources += len(d.Values)
			for _, v := range d.Values {
				if !strings.HasPrefix(v, "arn:") {
					return wrong.Withf("Value %s for DataResources.Values is invalid.", clip(v, maxMessage))
				}
			}
		}
		for _, source := range sel.ExcludeManagementEventSources {
			if !slices.Contains(excludable, source) {
				return wrong.Withf("The value %s for ExcludeManagementEventSources is not valid.", clip(source, maxMessage))
			}
		}
	}
	if resources > maxDataResources {
		return wrong.Withf("A trail is limited to %d data resources.", maxDataResources)
	}
	return checkAdvanced(in.AdvancedEventSelectors)
}

// checkAdvanced wants each selector to say once, with Equals, which category of events it is for.
func checkAdvanced(selectors []*api.AdvancedEventSelector) error {
	wrong := api.ErrInvalidEventSelectors
	values := 0
	for _, sel := range selectors {
		category := ""
		for _, f := range sel.FieldSelectors {
			n := len(f.Equals) + len(f.StartsWith) + len(f.EndsWith) + len(f.NotEquals) + len(f.NotStartsWith) + len(f.NotEndsWith)
			if n == 0 {
				return wrong.Withf("The field selector %s has no operator.", *f.Field)
			}
			values += n
			if *f.Field == "eventCategory" {
				if category != "" || len(f.Equals) != 1 || n != 1 {
					return wrong.New("The eventCategory field must have exactly one value, with Equals.")
				}
				category = f.Equals[0]
			}
		}
		switch category {
		case "Management":
		case "Data":
			if !slices.ContainsFunc(sel.FieldSelectors, func(f *api.AdvancedFieldSelector) bool { return *f.Field == "resources.type" }) {
				return wrong.New("The resources.type field is required for data events.")
			}
		default:
			return wrong.New("The eventCategory field must be Management or Data.")
		}
	}
	if values > maxAdvancedValues {
		return wrong.Withf("A trail is limited to %d values in its advanced event selectors.", maxAdvancedValues)
	}
	return nil
}
