package main

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestHowToGoOn: what the demo says is to be typed next reaches the server that it was told of.
func TestHowToGoOn(t *testing.T) {
	usual, err := filepath.Abs(".enfold")
	if err != nil {
		t.Fatal(err)
	}
	const other = " --data '/o ther' --region 'eu-west-1'"
	for _, tt := range []struct {
		name string
		cmd  demoCmd
		want []string
	}{
		{"as usual", demoCmd{Region: "us-east-1"}, []string{"enfold serve  ", `"$(enfold env)"`, "enfold invoke demo-hello-python --payload", "enfold logs demo-hello-python\n"}},
		{"the dataDir(usual) directory by name", demoCmd{dataFlag: dataFlag{dataDir(usual)}, Region: "us-east-1"}, []string{"enfold serve  ", `"$(enfold env)"`}},
		{"others", demoCmd{dataFlag: dataFlag{"/o ther"}, Region: "eu-west-1"}, []string{
			"enfold serve --data '/o ther'  ", `"$(enfold env` + other + `)"`, "enfold invoke" + other + " demo-hello-python", "enfold logs" + other + " demo-hello-python",
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := tt.cmd.howToGoOn("enfold")
			for _, want := range tt.want {
				if !strings.Contains(got, want) {
					t.Errorf("it lacks %q:\n%s", want, got)
				}
			}
		})
	}
}
