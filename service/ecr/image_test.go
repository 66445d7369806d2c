package ecr

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	api "github.com/enfold-run/enfold/api/ecr"
	"github.com/enfold-run/enfold/aws"
)

// TestRefusals: what AWS's clients hear, in AWS's words.
func TestRefusals(t *testing.T) {
	w := newWorld(t)
	w.repository("app")
	w.repository("fixed")
	config := w.layer("app", "config")
	manifest := manifestOf(config)
	_, err := w.put("app", manifest, "v1")
	check(t, err, "")
	_, err = w.PutImageTagMutability(w.ctx, &api.PutImageTagMutabilityInput{RepositoryName: new("fixed"), ImageTagMutability: new(api.ImageTagMutabilityImmutable)})
	check(t, err, "")
	fixed := manifestOf(w.layer("fixed", "one"))
	_, err = w.put("fixed", fixed, "v1")
	check(t, err, "")
	second := manifestOf(w.layer("fixed", "two"))
	absent := sum([]byte("absent"))
	digest := sum([]byte(manifest))
	in := " with name 'app' in the registry with id '" + account + "'"
	c := w.client()
	for _, tc := range []struct {
		name string
		do   func() error
		want string
	}{
		{"a repository that is not there", func() error {
			_, err := c.DescribeImages(w.ctx, &api.DescribeImagesInput{RepositoryName: new("none")})
			return err
		}, "RepositoryNotFoundException: The repository with name 'none' does not exist in the registry with id '" + account + "'"},
		{"one of several", func() error {
			_, err := c.DescribeRepositories(w.ctx, &api.DescribeRepositoriesInput{RepositoryNames: []string{"app", "none"}})
			return err
		}, "RepositoryNotFoundException: The repository with name 'none' does not exist in the registry with id '" + account + "'"},
		{"a repository twice", func() error {
			_, err := c.CreateRepository(w.ctx, &api.CreateRepositoryInput{RepositoryName: new("app")})
			return err
		}, "RepositoryAlreadyExistsException: The repository with name 'app' already exists in the registry with id '" + account + "'"},
		{"a repository with images", func() error {
			_, err := c.DeleteRepository(w.ctx, &api.DeleteRepositoryInput{RepositoryName: new("app")})
			return err
		}, "RepositoryNotEmptyException: The repository with name 'app' in registry with id '" + account + "' cannot be deleted because it still contains images"},
		{
			"an image twice", func() error { _, err := w.put("app", manifest, "v1"); return err },
			"ImageAlreadyExistsException: Image with digest '" + digest + "' and tag 'v1' already exists in the repository with name 'app' in registry with id '" + account + "'",
		},
		{
			"an image twice, without a tag", func() error { _, err := w.put("app", manifest, ""); return err },
			"ImageAlreadyExistsException: Image with digest '" + digest + "' already exists in the repository" + in,
		},
		{
			"an immutable tag", func() error { _, err := w.put("fixed", second, "v1"); return err },
			"ImageTagAlreadyExistsException: The image tag 'v1' already exists in the 'fixed' repository and cannot be overwritten because the tag is immutable.",
		},
		{
			"an image without its layers", func() error { _, err := w.put("app", manifestOf(absent), ""); return err },
			"LayersNotFoundException: Layers with digests '[" + absent + "]' required for pushing image into repository" + in + " do not exist",
		},
		{
			"an index without its images", func() error { _, err := w.put("app", indexOf(absent), ""); return err },
			"ReferencedImagesNotFoundException: Images with digests '[" + absent + "]' required for pushing image into repository" + in + " do not exist",
		},
		{
			"a layer of another repository", func() error { _, err := w.put("fixed", manifest, ""); return err },
			"LayersNotFoundException: Layers with digests '[" + config + "]' required for pushing image into repository with name 'fixed' in the registry with id '" + account + "' do not exist",
		},
		{"another digest", func() error {
			_, err := c.PutImage(w.ctx, &api.PutImageInput{RepositoryName: new("app"), ImageManifest: &manifest, ImageDigest: &absent})
			return err
		}, "ImageDigestDoesNotMatchException: The specified image digest '" + absent + "' does not match the calculated image digest '" + digest + "'"},
		{
			"no manifest", func() error { _, err := w.put("app", "{", ""); return err },
			"InvalidParameterException: Invalid parameter at 'ImageManifest' failed to satisfy constraint: 'Invalid JSON syntax'",
		},
		{
			"a tag that cannot be", func() error { _, err := w.put("app", manifest, "-x"); return err },
			"InvalidParameterException: Invalid parameter at 'imageTag' failed to satisfy constraint: 'must satisfy regular expression '[a-zA-Z0-9_][a-zA-Z0-9-_.]*''",
		},
		{"an image that is not there", func() error {
			_, err := c.DescribeImages(w.ctx, &api.DescribeImagesInput{RepositoryName: new("app"), ImageIDs: []*api.ImageIdentifier{{ImageTag: new("v9")}}})
			return err
		}, "ImageNotFoundException: The image with imageId {imageDigest:'null', imageTag:'v9'} does not exist within the repository" + in},
		{"a layer that is not there", func() error {
			_, err := c.GetDownloadUrlForLayer(w.ctx, &api.GetDownloadUrlForLayerInput{RepositoryName: new("app"), LayerDigest: &absent})
			return err
		}, "LayersNotFoundException: The layer with digest '" + absent + "' does not exist in the repository" + in},
		{"a policy that is not there", func() error {
			_, err := c.GetRepositoryPolicy(w.ctx, &api.GetRepositoryPolicyInput{RepositoryName: new("app")})
			return err
		}, "RepositoryPolicyNotFoundException: Repository policy does not exist for the repository" + in},
		{"a policy that is none", func() error {
			_, err := c.SetRepositoryPolicy(w.ctx, &api.SetRepositoryPolicyInput{RepositoryName: new("app"), PolicyText: new("{}")})
			return err
		}, "InvalidParameterException: Invalid parameter at 'PolicyText' failed to satisfy constraint: 'Invalid repository policy provided'"},
		{"a policy that names resources", func() error {
			_, err := c.SetRepositoryPolicy(w.ctx, &api.SetRepositoryPolicyInput{RepositoryName: new("app"), PolicyText: new(
				`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"ecr:*","Resource":"*"}]}`)})
			return err
		}, "InvalidParameterException: Invalid parameter at 'PolicyText' failed to satisfy constraint: 'Invalid repository policy provided'"},
		{"an ARN that is none", func() error {
			_, err := c.ListTagsForResource(w.ctx, &api.ListTagsForResourceInput{ResourceArn: new("app")})
			return err
		}, "InvalidParameterException: Invalid parameter at 'resourceArn' failed to satisfy constraint: 'Invalid ARN'"},
		{"an ARN of another Region", func() error {
			_, err := c.ListTagsForResource(w.ctx, &api.ListTagsForResourceInput{ResourceArn: new("arn:aws:ecr:eu-west-1:" + account + ":repository/app")})
			return err
		}, "InvalidParameterException: Invalid parameter at 'resourceArn' failed to satisfy constraint: 'Invalid ARN'"},
		{"scanning", func() error {
			_, err := c.PutImageScanningConfiguration(w.ctx, &api.PutImageScanningConfigurationInput{
				RepositoryName: new("app"), ImageScanningConfiguration: &api.ImageScanningConfiguration{ScanOnPush: new(true)},
			})
			return err
		}, "InvalidParameterException: Images are not scanned by this server: scanOnPush can only be false."},
		{"a key of KMS", func() error {
			_, err := c.CreateRepository(w.ctx, &api.CreateRepositoryInput{
				RepositoryName: new("kms"), EncryptionConfiguration: &api.EncryptionConfiguration{EncryptionType: new(api.EncryptionTypeKms)},
			})
			return err
		}, "InvalidParameterException: Repositories are encrypted with AES256 only: keys of KMS are not used here."},
		{"a page token of another list", func() error {
			p, err := newPage("images of app", nil, nil)
			check(t, err, "")
			_, err = c.ListImages(w.ctx, &api.ListImagesInput{RepositoryName: new("app"), NextToken: p.next()})
			return err
		}, "InvalidParameterException: Invalid parameter at 'nextToken' failed to satisfy constraint: 'Invalid token'"},
	} {
		t.Run(tc.name, func(t *testing.T) { check(t, tc.do(), tc.want) })
	}
}

// TestTagsMove: a tag is of one image at a time, and an image goes with its last tag or by its digest.
func TestTagsMove(t *testing.T) {
	w := newWorld(t)
	w.repository("app")
	one, two := manifestOf(w.layer("app", "one")), manifestOf(w.layer("app", "two"))
	first, err := w.put("app", one, "latest")
	check(t, err, "")
	second, err := w.put("app", two, "latest")
	check(t, err, "")
	_, err = w.put("app", two, "v2")
	check(t, err, "")
	equal(t, "all", w.listed(10, ""), "latest="+second+" v2="+second+" ="+first)
	equal(t, "tagged", w.listed(1, api.TagStatusTagged), "latest="+second+" v2="+second)
	equal(t, "untagged", w.listed(10, api.TagStatusUntagged), "="+first)
	ids := []*api.ImageIdentifier{
		{ImageTag: new("latest")},
		{ImageDigest: &first},
		{ImageTag: new("v1")},
		{ImageTag: new("v2"), ImageDigest: &first},
		{},
		{ImageDigest: new("md5:abc")},
	}
	out, err := w.BatchDeleteImage(w.ctx, &api.BatchDeleteImageInput{RepositoryName: new("app"), ImageIDs: ids})
	check(t, err, "")
	var failures []string
	for _, f := range out.Failures {
		failures = append(failures, *f.FailureCode)
	}
	equal(t, "failures", strings.Join(failures, " "), "ImageNotFound ImageTagDoesNotMatchDigest MissingDigestAndTag InvalidImageDigest")
	equal(t, "deleted", fmt.Sprint(len(out.ImageIDs), " ", *out.ImageIDs[0].ImageTag, " ", *out.ImageIDs[1].ImageDigest), "2 latest "+first)
	equal(t, "what is left", w.listed(10, ""), "v2="+second)
	_, err = w.BatchDeleteImage(w.ctx, &api.BatchDeleteImageInput{RepositoryName: new("app"), ImageIDs: []*api.ImageIdentifier{{ImageTag: new("v2")}}})
	check(t, err, "")
	equal(t, "nothing left", w.listed(10, ""), "")
	_, err = w.DeleteRepository(w.ctx, &api.DeleteRepositoryInput{RepositoryName: new("app")})
	check(t, err, "") // it is empty
	equal(t, "blobs", w.stored(), 0)
}

// listed are the images of the repository app, in pages of so many, the tagged ones first.
func (w *world) listed(page int, status string) string {
	w.t.Helper()
	var all []string
	in := &api.ListImagesInput{RepositoryName: new("app"), MaxResults: &page}
	if status != "" {
		in.Filter = &api.ListImagesFilter{TagStatus: &status}
	}
	for {
		out, err := w.ListImages(w.ctx, in)
		check(w.t, err, "")
		for _, id := range out.ImageIDs {
			all = append(all, value(id.ImageTag)+"="+*id.ImageDigest)
		}
		if in.NextToken = out.NextToken; in.NextToken == nil {
			break
		}
	}
	slices.SortFunc(all, func(a, b string) int {
		if a[0] == '=' != (b[0] == '=') {
			return strings.Compare(b, a)
		}
		return strings.Compare(a, b)
	})
	return strings.Join(all, " ")
}

// TestPages: every image is told once, whatever the size of the pages.
func TestPages(t *testing.T) {
	w := newWorld(t)
	w.repository("app")
	var want []string
	for i := range 7 {
		m := manifestOf(w.layer("app", fmt.Sprint("layer", i)))
		for j := range 3 {
			tag := fmt.Sprintf("v%d.%d", i, j)
			digest, err := w.put("app", m, tag)
			check(t, err, "")
			want = append(want, tag+"="+digest)
		}
		w.repository(fmt.Sprint("more/", i))
	}
	for _, size := range []int{1, 2, 4, 1000} {
		equal(t, fmt.Sprint("pages of ", size), w.listed(size, ""), strings.Join(want, " "))
	}
	described, repositories := 0, 0
	in := &api.DescribeImagesInput{RepositoryName: new("app"), MaxResults: new(2)}
	for more := true; more; more = in.NextToken != nil {
		out, err := w.DescribeImages(w.ctx, in)
		check(t, err, "")
		for _, d := range out.ImageDetails {
			equal(t, "tags", len(d.ImageTags), 3)
		}
		described, in.NextToken = described+len(out.ImageDetails), out.NextToken
	}
	list := &api.DescribeRepositoriesInput{MaxResults: new(3)}
	for more := true; more; more = list.NextToken != nil {
		out, err := w.DescribeRepositories(w.ctx, list)
		check(t, err, "")
		repositories, list.NextToken = repositories+len(out.Repositories), out.NextToken
	}
	equal(t, "images and repositories", fmt.Sprint(described, repositories), "7 8")
}

// TestIndexKeepsImages: an image that an index names cannot be deleted before the index is.
func TestIndexKeepsImages(t *testing.T) {
	w := newWorld(t)
	w.repository("app")
	image, err := w.put("app", manifestOf(w.layer("app", "one")), "one")
	check(t, err, "")
	index, err := w.put("app", indexOf(image), "all")
	check(t, err, "")
	del := func(ids ...*api.ImageIdentifier) *api.BatchDeleteImageOutput {
		out, err := w.BatchDeleteImage(w.ctx, &api.BatchDeleteImageInput{RepositoryName: new("app"), ImageIDs: ids})
		check(t, err, "")
		return out
	}
	for _, id := range []*api.ImageIdentifier{{ImageDigest: &image}, {ImageTag: new("one")}} {
		out := del(id)
		if len(out.Failures) != 1 || *out.Failures[0].FailureReason != "Requested image referenced by manifest list: ["+index+"]" {
			t.Errorf("%v", out.Failures)
		}
	}
	equal(t, "deleted", len(del(&api.ImageIdentifier{ImageDigest: &index}, &api.ImageIdentifier{ImageDigest: &image}).ImageIDs), 2)
	equal(t, "what is left", w.listed(10, ""), "")
}

// TestMutability: tags that a repository holds fast, with what is excluded.
func TestMutability(t *testing.T) {
	for _, c := range []struct {
		mutability, filter, tag string
		fixed                   bool
	}{
		{api.ImageTagMutabilityMutable, "", "v1", false},
		{api.ImageTagMutabilityImmutable, "", "v1", true},
		{api.ImageTagMutabilityImmutableWithExclusion, "dev-*", "v1", true},
		{api.ImageTagMutabilityImmutableWithExclusion, "dev-*", "dev-1", false},
		{api.ImageTagMutabilityImmutableWithExclusion, "latest", "latest", false},
		{api.ImageTagMutabilityImmutableWithExclusion, "latest", "latest2", true},
		{api.ImageTagMutabilityMutableWithExclusion, "v*.0", "v1.0", true},
		{api.ImageTagMutabilityMutableWithExclusion, "v*.0", "v1.1", false},
		{api.ImageTagMutabilityMutableWithExclusion, "*a*", "bab", true},
		{api.ImageTagMutabilityMutableWithExclusion, "*", "x", true},
		{api.ImageTagMutabilityMutableWithExclusion, "ab*ba", "aba", false},
	} {
		r := &repository{}
		var filters []*api.ImageTagMutabilityExclusionFilter
		if c.filter != "" {
			filters = append(filters, &api.ImageTagMutabilityExclusionFilter{Filter: &c.filter})
		}
		check(t, r.setMutability(&c.mutability, filters), "")
		equal(t, fmt.Sprint(c.mutability, " ", c.filter, " ", c.tag), r.fixed(c.tag), c.fixed)
	}
	is(t, new(repository).setMutability(new(api.ImageTagMutabilityImmutableWithExclusion), nil), api.ErrInvalidParameter)
	is(t, new(repository).setMutability(nil, []*api.ImageTagMutabilityExclusionFilter{{Filter: new("x")}}), api.ErrInvalidParameter)
}

// TestPolicies: a repository's policy gives it to others, shuts nobody out by mistake, and is about this repository.
func TestPolicies(t *testing.T) {
	w := newWorld(t)
	w.repository("app")
	w.repository("other")
	c := w.client()
	set := func(text string, force bool) error {
		_, err := c.SetRepositoryPolicy(w.ctx, &api.SetRepositoryPolicyInput{RepositoryName: new("app"), PolicyText: &text, Force: &force})
		return err
	}
	get := func(who *aws.Principal, name string) error {
		_, err := c.BatchGetImage(as(t.Context(), who), &api.BatchGetImageInput{
			RegistryID: new(account), RepositoryName: &name, ImageIDs: []*api.ImageIdentifier{{ImageTag: new("v1")}},
		})
		return err
	}
	stranger := aws.RootOf(other, "AKIAOTHER")
	is(t, get(stranger, "app"), aws.ErrAccessDenied)
	check(t, set(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"`+other+`"},"Action":"ecr:BatchGetImage"}]}`, false), "")
	check(t, get(stranger, "app"), "")
	is(t, get(stranger, "other"), aws.ErrAccessDenied)
	shut := `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"ecr:*"}]}`
	is(t, set(shut, false), api.ErrInvalidParameter)
	check(t, set(shut, true), "")
	is(t, get(aws.RootOf(account, "AKIAROOT"), "app"), aws.ErrAccessDenied)

	_, err := c.TagResource(w.ctx, &api.TagResourceInput{ResourceArn: new("arn:aws:ecr:" + region + ":" + account + ":repository/other"), Tags: []*api.Tag{{Key: new("team"), Value: new("a")}}})
	check(t, err, "")
	tagged := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ecr:*","Resource":"*","Condition":{"StringEquals":{"aws:ResourceTag/team":"a"}}}]}`
	w.allow(tagged)
	check(t, get(userOf(account), "other"), "")
	w.allow(strings.ReplaceAll(tagged, `"a"`, `"b"`))
	is(t, get(userOf(account), "other"), aws.ErrAccessDenied)
}
