package runtimes

import (
	"fmt"
	"slices"
	"strings"
)

// Family is a language with its conventions.
type Family string

// The families that are served.
const (
	Python   Family = "python"
	Node     Family = "nodejs"
	Java     Family = "java"
	Provided Family = "provided"
)

// runtime is one row of the table.
type runtime struct {
	name    string
	family  Family
	version string // what the interpreter must say: "3.12", "22", "17"
}

// served are all runtimes that can run here, in the order in which doctor prints them.
var served = []runtime{
	{"python3.8", Python, "3.8"},
	{"python3.9", Python, "3.9"},
	{"python3.10", Python, "3.10"},
	{"python3.11", Python, "3.11"},
	{"python3.12", Python, "3.12"},
	{"python3.13", Python, "3.13"},
	{"python3.14", Python, "3.14"},
	{"nodejs18.x", Node, "18"},
	{"nodejs20.x", Node, "20"},
	{"nodejs22.x", Node, "22"},
	{"nodejs24.x", Node, "24"},
	{"java11", Java, "11"},
	{"java17", Java, "17"},
	{"java21", Java, "21"},
	{"java25", Java, "25"},
	{"provided.al2", Provided, ""},
	{"provided.al2023", Provided, ""},
}

// deprecated are the runtimes that AWS no longer updates. Those of them that are served still run here.
var deprecated = []string{
	"nodejs", "nodejs4.3", "nodejs4.3-edge", "nodejs6.10", "nodejs8.10", "nodejs10.x", "nodejs12.x", "nodejs14.x", "nodejs16.x",
	"nodejs18.x", "java8", "python2.7", "python3.6", "python3.7", "python3.8", "dotnetcore1.0", "dotnetcore2.0", "dotnetcore2.1",
	"dotnetcore3.1", "dotnet5.0", "dotnet6", "dotnet7", "ruby2.5", "ruby2.7", "go1.x", "provided",
}

// Known reports whether functions of the runtime can run here, given an interpreter.
func Known(name string) bool {
	_, ok := lookup(name)
	return ok
}

// Names are all runtimes for which Known is true.
func Names() []string {
	names := make([]string, len(served))
	for i, r := range served {
		names[i] = r.name
	}
	return names
}

// FamilyOf is the family of a known runtime, or "".
func FamilyOf(name string) Family {
	r, _ := lookup(name)
	return r.family
}

// Deprecated reports whether AWS has deprecated the runtime.
func Deprecated(name string) bool { return slices.Contains(deprecated, name) }

func lookup(name string) (runtime, bool) {
	i := slices.IndexFunc(served, func(r runtime) bool { return r.name == name })
	if i < 0 {
		return runtime{}, false
	}
	return served[i], true
}

// MissingError says that a runtime cannot run on this host. Its text is the StateReason of the function: it names what to do.
type MissingError struct {
	Runtime string
	Reason  string // what was looked for and not found, a sentence
	Fix     string // what to do, a sentence
}

func (e *MissingError) Error() string { return e.Reason + " " + e.Fix }

func missing(r runtime) *MissingError {
	e := &MissingError{Runtime: r.name}
	mapping := fmt.Sprintf("or map it: --runtime-map %s=/path/to/", r.name)
	switch r.family {
	case Python:
		e.Reason = fmt.Sprintf("python%s was not found on this host.", r.version)
		e.Fix = fmt.Sprintf("Install it (apt-get install python%[1]s, pyenv install %[1]s) %[2]spython%[1]s", r.version, mapping)
	case Node:
		e.Reason = fmt.Sprintf("Node.js %s was not found on this host.", r.version)
		e.Fix = fmt.Sprintf("Install it (nvm install %[1]s, fnm install %[1]s) %[2]snode", r.version, mapping)
	case Java:
		e.Reason = fmt.Sprintf("Java %s was not found on this host.", r.version)
		e.Fix = fmt.Sprintf("Install it (apt-get install openjdk-%s-jre-headless) %sjava", r.version, mapping)
	}
	return e
}

func unknown(name string) *MissingError {
	return &MissingError{
		Runtime: name,
		Reason:  fmt.Sprintf("The runtime %s is not served by Enfold.", name),
		Fix:     "Use one of " + strings.Join(Names(), ", ") + ".",
	}
}
