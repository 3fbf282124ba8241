package scenarios

import (
	"io/fs"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/weirbench/weir/targets"
)

// TestReadyTargets: each target of targets/ has a profile that is right, and every profile there is one of a target.
func TestReadyTargets(t *testing.T) {
	files, err := fs.Glob(targets.Files, "*/profile.yaml")
	if err != nil || len(files) != len(readyTargets) {
		t.Fatalf("got profiles %v (%v); want one for each of %v", files, err, readyTargets)
	}
	for _, name := range readyTargets {
		p := planOf(t, strings.Replace(base, "gateway:\n", "gateway: {target: "+name+"}\n", 1))
		if got := p.Gateway; got.Profile.Name != name || got.Listen != "" || got.QueueBytes != 0 {
			t.Errorf("%s: got %+v; want its own profile, and nothing of weir's own gateway", name, got)
		}
		named := planOf(t, strings.Replace(base, "gateway:\n", "gateway: {profile: "+name+"}\n", 1))
		if !reflect.DeepEqual(named.Gateway.Profile, p.Gateway.Profile) {
			t.Errorf("%s: got %+v by name; want %+v", name, named.Gateway.Profile, p.Gateway.Profile)
		}
	}
	if got := planOf(t, strings.Replace(base, "gateway:\n", "gateway: {target: node-ws}\n", 1)).Gateway.Variant; got != variantShared {
		t.Errorf("got variant %q; want %s", got, variantShared)
	}
}

// TestArgumentsThatHoldSecrets: which arguments and variables are taken for secrets, and which only say where one is.
func TestArgumentsThatHoldSecrets(t *testing.T) {
	for text, want := range map[string]bool{
		"--password": true, "-DtrustStorePassword": true, "--api-key": true, "--my.token": true, "--token-file": false, "--password-env": false,
		"--key": false, "password": false, "--port": false, "--secret-url": false, "--tokens-per-second": false,
	} {
		if got := secretArgument.MatchString(text); got != want {
			t.Errorf("argument %s: got secret %t; want %t", text, got, want)
		}
	}
	for text, want := range map[string]bool{
		"DB_PASSWORD": true, "PGPASS": false, "DB_PASS": true, "API_KEY": true, "APIKEY": true, "MY_KEY": true, "KEY_SERIALIZER": false, "TOKEN_FILE": false,
		"JWT": true, "TOKEN_URL": false, "PORT": false, "PASSENGER_MODE": false, "KEYSPACE": false,
	} {
		if got := secretVariable.MatchString(text) && !notSecret.MatchString(text); got != want {
			t.Errorf("variable %s: got secret %t; want %t", text, got, want)
		}
	}
}

// TestTargetsRefuseWhatIsNotTheirs: each part of a target is refused, with the mend, by every other.
func TestTargetsRefuseWhatIsNotTheirs(t *testing.T) {
	own := map[string]TargetKind{
		"listen=127.0.0.1:0": TargetReference, "queue=1MiB": TargetReference, "slow_clients=disconnect": TargetReference, "config={compression: true}": TargetReference,
		"url=ws://127.0.0.1:1/ws": TargetExternal, "usage={pids: [1]}": TargetExternal, "variant=naive": TargetNodeWS,
		"command={args: [x], url: 'ws://127.0.0.1:{port}/'}":           TargetCommand,
		"container={image: x, port: 1, url: 'ws://127.0.0.1:{port}/'}": TargetContainer,
	}
	text := strings.Replace(base, "gateway:\n", "", 1)
	for set, of := range own {
		key, _, _ := strings.Cut(set, "=")
		for _, kind := range targetKinds {
			s, err := Parse("base.yaml", []byte(text), Options{Sets: []string{"gateway.target=" + kind, "gateway." + set}})
			if err == nil {
				_, err = s.Resolve()
			}
			refused := err != nil && slices.ContainsFunc(err.(Errors), func(p Problem) bool {
				return p.Path == "gateway."+key && strings.Contains(p.Message, "is for target: "+string(of)+" alone")
			})
			if refused != (kind != string(of)) {
				t.Errorf("%s with target %s: got %v; want it refused %t", set, kind, err, kind != string(of))
			}
		}
	}
}
