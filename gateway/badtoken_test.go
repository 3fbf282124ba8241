package gateway

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/gorilla/websocket"

	"github.com/weirbench/weir/internal/settings"
)

// Times that no calendar has are no way to a token that does not expire.
func TestTokenTimes(t *testing.T) {
	a := testAuthenticator(t, settings.Tokens{HMACFile: writeSecret(t, testSecret), Issuer: "idp", Audience: "weir"})
	now := time.Now().Unix()
	token := func(claims string) string {
		head := b64([]byte(`{"alg":"HS256"}`)) + "." + b64([]byte(`{"iss":"idp","aud":"weir",`+claims+`}`))
		signature, err := jwt.SigningMethodHS256.Sign(head, []byte(testSecret))
		if err != nil {
			t.Fatal(err)
		}
		return head + "." + b64(signature)
	}
	for _, tt := range []struct {
		claims string
		ok     bool
	}{
		{fmt.Sprintf(`"exp":%d`, now+60), true},
		{fmt.Sprintf(`"exp":%d.5`, now+60), true},
		{`"exp":253402300799`, true}, // the year 9999
		{`"exp":9223372036854775807`, false},
		{`"exp":9223372036854775808`, false},
		{`"exp":1e300`, false},
		{`"exp":1e999`, false},
		{`"exp":-1`, false},
		{`"exp":0`, false},
		{`"exp":null`, false},
		{`"exp":true`, false},
		{`"exp":[4102444800]`, false},
		{fmt.Sprintf(`"exp":%d,"exp":%d`, now+60, now-60), false},
		{fmt.Sprintf(`"exp":%d,"nbf":%d`, now+60, now+4), true},
		{fmt.Sprintf(`"exp":%d,"nbf":%d`, now+60, now+60), false},
		{fmt.Sprintf(`"exp":%d,"nbf":1e300`, now+60), false},
		{fmt.Sprintf(`"exp":%d,"nbf":"soon"`, now+60), false},
		{fmt.Sprintf(`"exp":%d,"sub":7`, now+60), false},
	} {
		who, err := a.verify(token(tt.claims))
		if (err == nil) != tt.ok {
			t.Errorf("%s: got %+v, %v; want accepted %t", tt.claims, who, err, tt.ok)
		}
		if err == nil && !time.Now().Before(who.expiresAt) {
			t.Errorf("%s: expires at %s", tt.claims, who.expiresAt)
		}
	}
}

// Where an issuer and an audience are demanded, leaving them out is no way around.
func TestTokenLacksWhatIsDemanded(t *testing.T) {
	a := testAuthenticator(t, settings.Tokens{HMACFile: writeSecret(t, testSecret), Issuer: "idp", Audience: "weir"})
	for _, claims := range []map[string]any{
		{"aud": "weir"}, {"iss": "idp"}, {"iss": "", "aud": "weir"}, {"iss": "idp", "aud": ""}, {"iss": "idp", "aud": []string{}},
		{"iss": []string{"idp"}, "aud": "weir"}, {"iss": "idp", "aud": []any{7}}, {"iss": "IDP", "aud": "weir"},
	} {
		claims["exp"] = inAnHour()
		if who, err := a.verify(signHMAC(t, claims)); err == nil {
			t.Errorf("%v: got %+v; want an error", claims, who)
		}
	}
}

// A token that is larger than a header may be is refused before it is read, and one that is merely large after.
func TestHugeTokens(t *testing.T) {
	g := start(t, func(c *Config) { c.Tokens = &settings.Tokens{HMACFile: writeSecret(t, testSecret)} })
	bearer := func(token string) http.Header { return http.Header{"Authorization": {"Bearer " + token}} }
	half := strings.Repeat("a", maxHTTPHeader/2)
	for name, token := range map[string]string{"no token": half, "dots": strings.Repeat(".", maxHTTPHeader/2), "three parts": half[:9000] + "." + half[:9000] + ".x"} {
		t.Run(name, func(t *testing.T) {
			g.wantRefused(t, "", bearer(token), http.StatusUnauthorized, ErrorUnauthorized)
			g.wantRefused(t, "token="+token, nil, http.StatusUnauthorized, ErrorUnauthorized)
		})
	}
	nested := signHMAC(t, map[string]any{"exp": inAnHour(), "deep": json.RawMessage(strings.Repeat("[", 5000) + strings.Repeat("]", 5000))})
	g.dialAs(nested)
	huge := strings.Repeat("a", 2*maxHTTPHeader)
	for name, ask := range map[string]struct {
		query  string
		header http.Header
	}{"header": {"", bearer(huge)}, "query": {"token=" + huge, nil}} {
		ws, resp, err := websocket.DefaultDialer.Dial("ws://"+g.addr+"/ws?"+ask.query, ask.header)
		if err == nil {
			ws.Close()
		}
		if resp == nil || resp.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
			t.Errorf("%s: got %+v, %v; want 431", name, resp, err)
		}
	}
}
