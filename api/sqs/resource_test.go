package sqs

import "testing"

func TestParseQueueURL(t *testing.T) {
	for s, want := range map[string]string{
		"http://localhost:4566/111122223333/q":                    "q",
		"https://sqs.us-east-1.amazonaws.com/111122223333/q.fifo": "q.fifo",
		"https://host/prefix/111122223333/q/":                     "q",
		"/111122223333/q":                                         "q",
		"111122223333/a%2Db":                                      "a-b",
	} {
		account, name, err := ParseQueueURL(s)
		if err != nil || account != "111122223333" || name != want {
			t.Errorf("%s: account %q, queue %q, %v", s, account, name, err)
		}
	}
	for _, s := range []string{"", "q", "http://host", "http://host/q", "http://host/1111/q", "http://host/111122223333/", "http://host/111122223333/q?x=/y", "111122223333/a%2Fb", "111122223333/*", "111122223333/%zz"} {
		if _, _, err := ParseQueueURL(s); err == nil || err.Error() != "InvalidAddress: The address "+s+" is not valid for this endpoint." {
			t.Errorf("%q: %v", s, err)
		}
	}
}

func TestURLOf(t *testing.T) {
	const arn = "arn:aws:sqs:eu-west-1:111122223333:q.fifo"
	url, err := URLOf(arn)
	if err != nil || url != "https://sqs.eu-west-1.amazonaws.com/111122223333/q.fifo" {
		t.Errorf("%s, %v", url, err)
	}
	if account, name, err := ParseQueueURL(url); err != nil || account != "111122223333" || name != "q.fifo" {
		t.Errorf("it is read as %s, %s, %v", account, name, err)
	}
	for _, s := range []string{"", "q", "arn:aws:sns:eu-west-1:111122223333:q", "arn:aws:sqs:eu-west-1:1:q", "arn:aws:sqs::111122223333:q", "arn:aws:sqs:eu-west-1:111122223333:*"} {
		if url, err := URLOf(s); err == nil {
			t.Errorf("%s is %s", s, url)
		}
	}
}

func TestTaskHandle(t *testing.T) {
	const arn = "arn:aws:sqs:eu-west-1:111122223333:q"
	if id, source, err := ParseTaskHandle(NewTaskHandle("task", arn)); err != nil || id != "task" || source != arn {
		t.Errorf("%s, %s, %v", id, source, err)
	}
	for _, h := range []string{"", "x", "e30=", NewTaskHandle("", arn)} {
		if _, _, err := ParseTaskHandle(h); err == nil || err.Error() != "InvalidParameterValueException: Value for parameter TaskHandle is invalid." {
			t.Errorf("%q: %v", h, err)
		}
	}
	if _, _, err := ParseTaskHandle(NewTaskHandle("task", "arn:x")); err == nil || err.Error() != "ResourceNotFoundException: The resource that you specified for the SourceArn parameter doesn't exist." {
		t.Errorf("a source that is no queue: %v", err)
	}
}
