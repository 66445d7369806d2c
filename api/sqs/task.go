package sqs

import (
	"encoding/base64"
	"encoding/json"
)

type taskHandle struct {
	TaskID    string `json:"taskId"`
	SourceArn string `json:"sourceArn"`
}

// NewTaskHandle is the TaskHandle of a message move task.
func NewTaskHandle(id, sourceARN string) string {
	b, err := json.Marshal(taskHandle{id, sourceARN})
	if err != nil {
		panic(err) // two strings
	}
	return base64.StdEncoding.EncodeToString(b)
}

// ParseTaskHandle tells the task that a TaskHandle names, and its source queue.
func ParseTaskHandle(s string) (id, sourceARN string, err error) {
	var h taskHandle
	b, err := base64.StdEncoding.DecodeString(s)
	if err == nil {
		err = json.Unmarshal(b, &h)
	}
	if err != nil || h.TaskID == "" {
		return "", "", ErrInvalidParameterValue.New("Value for parameter TaskHandle is invalid.")
	}
	if _, ok := ParseQueueARN(h.SourceArn); !ok {
		return "", "", ErrResourceNotFound.New("The resource that you specified for the SourceArn parameter doesn't exist.")
	}
	return h.TaskID, h.SourceArn, nil
}
