package runtimeapi

import (
	"strings"
	"testing"
)

func TestNormalErrorType(t *testing.T) {
	for in, want := range map[string]string{
		"":                           "Runtime.Unknown",
		"Runtime.ExitError":          "Runtime.ExitError",
		"Function.Oops":              "Function.Oops",
		"Function.oops":              "Function.Unknown",
		"Function.":                  "Function.Unknown",
		"Function.A":                 "Function.Unknown", // a capital and at least one more letter
		"Function.Oops2":             "Function.Unknown",
		"Function.Oops\" x":          "Function.Unknown",
		"Runtime.Some-Thing":         "Runtime.Unknown",
		"Sandbox.Timedout":           "Runtime.Unknown",
		"errorString":                "Runtime.Unknown",
		" Function.Oops":             "Runtime.Unknown",
		"Function.Ab[c":              "Function.Unknown",
		"Function.A" + long('b', 99): "Function.A" + long('b', 99),
		"Runtime.A" + long('b', 999): "Runtime.Unknown",
	} {
		if got := normalErrorType([]byte(in)); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func long(c byte, n int) string { return strings.Repeat(string(c), n) }

func TestPlainError(t *testing.T) {
	for _, tt := range []struct{ name, in, want, contentType string }{
		{"cause is dropped", `{"errorMessage":"m","errorType":"t","stackTrace":["a"],"errorCause":{"exceptions":[]},"causes":[1]}`, `{"errorMessage":"m","errorType":"t","stackTrace":["a"]}`, typeJSON},
		{"no stack", `{"errorMessage":"m"}`, `{"errorMessage":"m","errorType":""}`, typeJSON},
		{"not JSON", `oops`, `"Invalid error body"`, typeBinary},
		{"wrong type", `{"errorMessage":1}`, `"Invalid error body"`, typeBinary},
		{"empty", ``, `"Invalid error body"`, typeBinary},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, contentType := plainError([]byte(tt.in))
			if string(got) != tt.want || contentType != tt.contentType {
				t.Errorf("got %s as %s, want %s as %s", got, contentType, tt.want, tt.contentType)
			}
		})
	}
}
