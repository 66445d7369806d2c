package kms

import (
	"errors"
	"testing"
)

func TestParseKeyName(t *testing.T) {
	const id, mrk = "1234abcd-12ab-34cd-56ef-1234567890ab", "mrk-1234abcd12ab34cd56ef1234567890ab"
	for s, want := range map[string]KeyName{
		id:        {Key: id},
		mrk:       {Key: mrk},
		"alias/x": {Alias: "alias/x"},
		"arn:aws:kms:us-east-1:111122223333:key/" + id:  {Account: "111122223333", Region: "us-east-1", Key: id},
		"arn:aws:kms:us-east-1:111122223333:alias/a/b":  {Account: "111122223333", Region: "us-east-1", Alias: "alias/a/b"},
		"arn:aws:kms:us-east-1:111122223333:key/" + mrk: {Account: "111122223333", Region: "us-east-1", Key: mrk},
	} {
		if got, err := ParseKeyName(s); err != nil || got != want {
			t.Errorf("%s: %+v, %v", s, got, err)
		}
	}
	for s, want := range map[string]string{
		"":                    "NotFoundException: Invalid keyId ''",
		"alias/":              "NotFoundException: Invalid keyId 'alias/'",
		"mrk-1234":            "NotFoundException: Invalid keyId 'mrk-1234'",
		id[1:] + "g":          "NotFoundException: Invalid keyId '" + id[1:] + "g'",
		"arn:aws:s3:::bucket": "NotFoundException: Invalid arn arn:aws:s3:::bucket",
		"arn:aws:kms:us-east-1:111122223333:grant/x":   "NotFoundException: Invalid arn arn:aws:kms:us-east-1:111122223333:grant/x",
		"arn:aws:kms:us-east-1:111122223333:key/alias": "NotFoundException: Invalid keyId 'alias'",
	} {
		if _, err := ParseKeyName(s); err == nil || err.Error() != want {
			t.Errorf("%s: %v", s, err)
		}
	}
}

func FuzzParseKeyName(f *testing.F) {
	f.Add("arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab")
	f.Add("alias/x")
	f.Fuzz(func(t *testing.T, s string) {
		n, err := ParseKeyName(s)
		switch {
		case err != nil && !errors.Is(err, ErrNotFound):
			t.Fatalf("%q: %v", s, err)
		case err == nil && (n.Key == "") == (n.Alias == ""):
			t.Fatalf("%q: %+v", s, n)
		}
	})
}
