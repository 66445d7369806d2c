package test

import "testing"

// TestBoto3IAM walks through IAM with the real boto3, errors as its typed exceptions.
func TestBoto3IAM(t *testing.T) {
	python := tool(t, "py", "bin", "python")
	startServer(t).script(t, python, "boto3_iam.py")
}
