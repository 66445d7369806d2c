package policy

import (
	"fmt"
	"testing"
)

// twenty are policies as people attach them: for other services mostly, with wildcards and conditions, and the one that allows.
func twenty(b *testing.B) *Grants {
	g := &Grants{}
	for i := range 19 {
		g.Identity = append(g.Identity, must(b, KindIdentity, fmt.Sprintf(`{"Version":"2012-10-17","Statement":[
			{"Effect":"Allow","Action":["s3:GetObject","s3:PutObject","s3:List*"],"Resource":["arn:aws:s3:::bucket-%d","arn:aws:s3:::bucket-%d/*"]},
			{"Effect":"Allow","Action":["lambda:Get*","lambda:List*"],"Resource":"arn:aws:lambda:*:*:function:team-%d-*"},
			{"Effect":"Deny","Action":"lambda:*","Resource":"*","Condition":{"StringNotEquals":{"aws:RequestedRegion":["us-east-1","eu-west-%d"]}}}]}`, i, i, i, i)))
	}
	g.Identity = append(g.Identity, identity(b, `"Effect":"Allow","Action":"lambda:InvokeFunction","Resource":"arn:aws:lambda:*:*:function:orders*",`+
		`"Condition":{"StringEquals":{"aws:PrincipalTag/Team":"blue"},"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}`))
	return g
}

func BenchmarkEvaluate20Policies(b *testing.B) {
	g := twenty(b)
	req := &Request{
		Principal: role, Action: "lambda:InvokeFunction", Resource: "arn:aws:lambda:us-east-1:111122223333:function:orders",
		Keys: keys{"aws:requestedregion": {"us-east-1"}, "aws:sourceip": {"10.1.2.3"}},
	}
	if d := Evaluate(req, g, nil); !d.Allowed {
		b.Fatalf("%+v", d)
	}
	b.ReportAllocs()
	for b.Loop() {
		Evaluate(req, g, nil)
	}
}

func BenchmarkEvaluateRoot(b *testing.B) {
	req := &Request{Principal: root, Action: "lambda:InvokeFunction", Resource: "arn:aws:lambda:us-east-1:111122223333:function:orders"}
	b.ReportAllocs()
	for b.Loop() {
		Evaluate(req, nil, nil)
	}
}

func BenchmarkParse(b *testing.B) {
	text := []byte(`{"Version":"2012-10-17","Statement":[{"Sid":"A","Effect":"Allow","Action":["logs:CreateLogGroup","logs:CreateLogStream","logs:PutLogEvents"],"Resource":"*"}]}`)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(text, KindManaged); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkGlobHostile(b *testing.B) {
	pattern, text := encode("*a*a*a*a*a*a*a*a*!"), string(make([]byte, 0))
	for range 2048 {
		text += "a"
	}
	for b.Loop() {
		glob(pattern, text)
	}
}
