// Package examples holds Lambda functions as anybody would write them for AWS, in Go, Python, JavaScript and Java: hello greets,
// thumbnail looks at a photograph, conformance tells all that a function is given. `enfold demo` and the tests deploy them.
package examples
