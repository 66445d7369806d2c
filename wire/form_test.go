package wire

import (
	"errors"
	"fmt"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"github.com/enfold-run/enfold/aws"
)

func TestFormIsBounded(t *testing.T) {
	p := planOf(reflect.TypeFor[flat]())
	many := url.Values{}
	for i := range 4000 {
		many.Set(fmt.Sprintf("a%d%s", i, strings.Repeat(".x", 40)), "")
	}
	for name, form := range map[string]url.Values{
		"many": many,
		"deep": {strings.Repeat("a.", 1000): {""}},
	} {
		var got flat
		if err := decodeForm(form, p, reflect.ValueOf(&got).Elem(), false); !errors.Is(err, aws.ErrSerialization) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	s := &aws.Service{Name: "t", SigningName: "t", Protocols: []aws.Protocol{aws.Query}, Ops: []*aws.Op{{Name: "A"}}}
	body := "Action=A" + strings.Repeat("&a=1", maxFormValues+1)
	r := httptest.NewRequest("POST", "/", nil)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if _, err := NewRouter(s).Route(r, "t", []byte(body)); !errors.Is(err, aws.ErrUnknownOp) {
		t.Errorf("too many parameters: got %v", err)
	}
}

func TestFormItemsAreOrderedByNumber(t *testing.T) {
	form := url.Values{}
	for _, i := range []string{"10", "9", "2", "1", "x", "-3"} {
		form.Set("List.item."+i, "v"+i)
	}
	var got flat
	v := reflect.ValueOf(&got).Elem()
	if err := decodeForm(form, planOf(v.Type()), v, false); err != nil {
		t.Fatal(err)
	}
	if want := []string{"v1", "v2", "v9", "v10"}; !reflect.DeepEqual(got.List, want) {
		t.Errorf("got %v", got.List)
	}
}
