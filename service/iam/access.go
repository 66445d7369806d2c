package iam

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	api "github.com/enfold-run/enfold/api/iam"
	"github.com/enfold-run/enfold/policy"
	"github.com/enfold-run/enfold/store"
)

// namespaces are the services whose use is told, by the prefix of their actions.
var namespaces = map[string]string{
	"cloudtrail": "AWS CloudTrail", "cloudwatch": "Amazon CloudWatch", "dynamodb": "Amazon DynamoDB", "events": "Amazon EventBridge",
	"execute-api": "Amazon API Gateway", "iam": "AWS Identity and Access Management", "kinesis": "Amazon Kinesis Data Streams",
	"kms": "AWS Key Management Service", "lambda": "AWS Lambda", "logs": "Amazon CloudWatch Logs", "s3": "Amazon S3",
	"scheduler": "Amazon EventBridge Scheduler", "secretsmanager": "AWS Secrets Manager", "sns": "Amazon SNS", "sqs": "Amazon SQS",
	"ssm": "AWS Systems Manager", "states": "AWS Step Functions", "sts": "AWS Security Token Service", "xray": "AWS X-Ray",
}

// grantsService says whether some statement of a policy allows something of a service.
func grantsService(p *policy.Policy, namespace string) bool {
	return slices.ContainsFunc(p.Statements(), func(st *policy.Statement) bool {
		if st.Effect != policy.Allow {
			return false
		}
		if len(st.NotActions) > 0 {
			return !slices.ContainsFunc(st.NotActions, func(a string) bool {
				return a == "*" || strings.EqualFold(a, namespace+":*")
			})
		}
		return slices.ContainsFunc(st.Actions, func(a string) bool {
			service, _, _ := strings.Cut(strings.ToLower(a), ":")
			return policy.Matches(service, namespace)
		})
	})
}

// ListPoliciesGrantingServiceAccess tells which policies of a user, group or role allow anything of a service.
func (s *Service) ListPoliciesGrantingServiceAccess(ctx context.Context, in *api.ListPoliciesGrantingServiceAccessInput) (*api.ListPoliciesGrantingServiceAccessOutput, error) {
	p, err := pageOf(in.Marker, nil)
	if err != nil {
		return nil, err
	}
	wanted, marker := slicePage(slices.Compact(slices.Sorted(slices.Values(in.ServiceNamespaces))), p, func(n string) string { return n })
	out := &api.ListPoliciesGrantingServiceAccessOutput{Marker: marker, IsTruncated: new(marker != nil)}
	var sources []source
	err = s.db.View(ctx, func(tx store.Tx) error {
		e, err := ownEntity(tx, account(ctx), *in.Arn)
		if err != nil {
			return err
		}
		sources, err = s.sources(tx, account(ctx), e)
		return err
	})
	if err != nil {
		return nil, err
	}
	out.PoliciesGrantingServiceAccess = []*api.ListPoliciesGrantingServiceAccessEntry{}
	for _, namespace := range wanted {
		entry := &api.ListPoliciesGrantingServiceAccessEntry{ServiceNamespace: &namespace, Policies: []*api.PolicyGrantingServiceAccess{}}
		for _, src := range sources {
			compiled, err := s.cache.compile(src.document, policy.KindIdentity)
			if err != nil {
				return nil, err
			}
			if grantsService(compiled, namespace) {
				entry.Policies = append(entry.Policies, src.granting())
			}
		}
		out.PoliciesGrantingServiceAccess = append(out.PoliciesGrantingServiceAccess, entry)
	}
	return out, nil
}

func (src source) granting() *api.PolicyGrantingServiceAccess {
	if src.arn != "" {
		return &api.PolicyGrantingServiceAccess{PolicyName: &src.policy, PolicyType: new(api.PolicyTypeManaged), PolicyArn: &src.arn}
	}
	return &api.PolicyGrantingServiceAccess{
		PolicyName: &src.policy, PolicyType: new(api.PolicyTypeInline), EntityType: new(strings.ToUpper(string(src.owner.Kind))),
		EntityName: &src.owner.Name,
	}
}

// maxJobs bounds how many reports of last accesses are kept.
const maxJobs = 1000

// job is a report of last accesses, which is complete when it is known.
type job struct {
	account, granularity string
	made                 time.Time
	services             []*api.ServiceLastAccessed
}

// jobs are kept in memory: a report is quickly made anew.
type jobs struct {
	mu    sync.Mutex
	byID  map[string]*job
	order []string // oldest first
}

func newJobs() *jobs { return &jobs{byID: map[string]*job{}} }

func (j *jobs) add(id string, made *job) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.byID[id] = made
	j.order = append(j.order, id)
	if len(j.order) > maxJobs {
		delete(j.byID, j.order[0])
		j.order = j.order[1:]
	}
}

func (j *jobs) get(id string) *job {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.byID[id]
}

// GenerateServiceLastAccessedDetails reports when what is allowed to a user, group, role, or by a policy, was last used.
func (s *Service) GenerateServiceLastAccessedDetails(ctx context.Context, in *api.GenerateServiceLastAccessedDetailsInput) (*api.GenerateServiceLastAccessedDetailsOutput, error) {
	made := &job{account: account(ctx), granularity: val(in.Granularity), made: s.clock()}
	if made.granularity == "" {
		made.granularity = api.AccessAdvisorUsageGranularityTypeServiceLevel
	}
	documents, users, err := s.accessors(ctx, *in.Arn)
	if err != nil {
		return nil, err
	}
	for namespace, title := range sortedMap(namespaces) {
		granted := false
		for _, document := range documents {
			p, err := s.cache.compile(document, policy.KindIdentity)
			if err != nil {
				return nil, err
			}
			granted = granted || grantsService(p, namespace)
		}
		if granted {
			made.services = append(made.services, lastAccess(namespace, title, users))
		}
	}
	id := newJobID()
	s.jobs.add(id, made)
	return &api.GenerateServiceLastAccessedDetailsOutput{JobID: &id}, nil
}

// newJobID is a random UUID.
func newJobID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// accessor is a user or role that could have used what is allowed, and what it used.
type accessor struct {
	arn  string
	uses map[string]lastUse // by the service's signing name
}

func lastAccess(namespace, title string, users []accessor) *api.ServiceLastAccessed {
	out := &api.ServiceLastAccessed{ServiceName: &title, ServiceNamespace: &namespace, TotalAuthenticatedEntities: new(0)}
	signing := namespace
	if namespace == "cloudwatch" {
		signing = "monitoring"
	}
	for _, u := range users {
		last, ok := u.uses[signing]
		if !ok {
			continue
		}
		*out.TotalAuthenticatedEntities++
		if out.LastAuthenticated == nil || last.At.After(*out.LastAuthenticated) {
			out.LastAuthenticated, out.LastAuthenticatedEntity, out.LastAuthenticatedRegion = new(last.At), new(u.arn), new(last.Region)
		}
	}
	return out
}

// accessors are the documents of what an ARN names, and who has them.
func (s *Service) accessors(ctx context.Context, arn string) (documents []string, users []accessor, err error) {
	id := account(ctx)
	var who []*entity
	err = s.db.View(ctx, func(tx store.Tx) error {
		documents, who = nil, nil
		if strings.Contains(arn, ":policy/") {
			p, _, err := s.findPolicy(tx, id, arn)
			if err != nil {
				return err
			}
			document, err := p.document()
			documents = []string{document}
			if err != nil {
				return err
			}
			who, err = havers(tx, id, arn)
			return err
		}
		e, err := ownEntity(tx, id, arn)
		if err != nil {
			return err
		}
		sources, err := s.sources(tx, id, e)
		for _, src := range sources {
			documents = append(documents, src.document)
		}
		if err != nil {
			return err
		}
		who, err = spread(tx, id, []*entity{e})
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	for _, e := range who {
		uses, err := s.usesOf(ctx, id, e.ID)
		if err != nil {
			return nil, nil, err
		}
		users = append(users, accessor{e.arn(id), uses})
	}
	return documents, users, nil
}

// havers are the users and roles that have a policy, through a group or not.
func havers(tx store.Tx, account, arn string) ([]*entity, error) {
	var all []*entity
	for row, err := range usedBy(tx, account, store.Prefix(arn, attachment), "") {
		if err != nil {
			return nil, err
		}
		k, name, _ := strings.Cut(row.Key, "\x00")
		e, err := find(tx, account, kind(k), name)
		if err != nil {
			return nil, err
		}
		all = append(all, e)
	}
	return spread(tx, account, all)
}

// spread puts the users of groups in the groups' place.
func spread(tx store.Tx, account string, all []*entity) ([]*entity, error) {
	var out []*entity
	for _, e := range all {
		if e.Kind != group {
			out = append(out, e)
			continue
		}
		for row, err := range members.Scan(tx, scope(account), store.Range{Prefix: memberKey(e.Name, "")}) {
			if err != nil {
				return nil, err
			}
			u, err := find(tx, account, user, row.Key[strings.IndexByte(row.Key, 0)+1:])
			if err != nil {
				return nil, err
			}
			out = append(out, u)
		}
	}
	return out, nil
}

// GetServiceLastAccessedDetails shows a page of a report.
func (s *Service) GetServiceLastAccessedDetails(ctx context.Context, in *api.GetServiceLastAccessedDetailsInput) (*api.GetServiceLastAccessedDetailsOutput, error) {
	p, err := pageOf(in.Marker, in.MaxItems)
	if err != nil {
		return nil, err
	}
	j := s.jobs.get(*in.JobID)
	if j == nil || j.account != account(ctx) {
		return nil, api.ErrNoSuchEntity.Withf("The job with id %s cannot be found.", *in.JobID)
	}
	services, marker := slicePage(j.services, p, func(v *api.ServiceLastAccessed) string { return *v.ServiceNamespace })
	return &api.GetServiceLastAccessedDetailsOutput{
		JobStatus: new(api.JobStatusTypeCompleted), JobType: &j.granularity, JobCreationDate: &j.made, JobCompletionDate: &j.made,
		ServicesLastAccessed: services, IsTruncated: new(marker != nil), Marker: marker,
	}, nil
}
