package gateway

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
)

const (
	// minRSABits is the least that RS256 may be used with (RFC 7518, section 3.3).
	minRSABits = 2048
	// maxRSABits bounds what verifying a signature costs.
	maxRSABits = 16384
)

// verificationKey is a public key and the one algorithm that it is good for.
type verificationKey struct {
	id        string // "kid"; may be empty
	algorithm string // "RS256", "ES256" or "EdDSA"
	key       crypto.PublicKey
}

// keySet is what a JSON Web Key Set (RFC 7517) holds of use here.
type keySet []verificationKey

// find returns the keys for a token: those of its algorithm, and of its key id where it gives one.
func (s keySet) find(algorithm, id string) (found []verificationKey) {
	for _, k := range s {
		if k.algorithm == algorithm && (id == "" || k.id == id) {
			found = append(found, k)
		}
	}
	return found
}

// jsonWebKey has the fields of RFC 7517, section 4, and RFC 7518, section 6, and of RFC 8037 for Ed25519.
type jsonWebKey struct {
	Type      string   `json:"kty"`
	ID        string   `json:"kid"`
	Algorithm string   `json:"alg"`
	Use       string   `json:"use"`
	Ops       []string `json:"key_ops"`
	Curve     string   `json:"crv"`
	X         string   `json:"x"`
	Y         string   `json:"y"`
	N         string   `json:"n"`
	E         string   `json:"e"`
}

// parseKeySet reads a key set. Keys that are of no use here are passed over, as RFC 7517, section 5, demands, and told of
// in odd: one that is broken must not take the others away. A set without any key of use is an error.
func parseKeySet(text []byte) (set keySet, odd oddKeys, err error) {
	var doc struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(text, &doc); err != nil {
		return nil, nil, errors.New("the key set is not a JSON object with a list of keys")
	}
	for i, text := range doc.Keys {
		var jwk jsonWebKey
		if err := json.Unmarshal(text, &jwk); err != nil {
			odd = append(odd, oddKey{i, jwk.ID, keyMalformed, "it is not an object of a key's fields"})
			continue
		}
		key, fault := jwk.verification()
		if fault != nil {
			odd = append(odd, oddKey{i, jwk.ID, fault.reason, fault.text})
			continue
		}
		set = append(set, key)
	}
	if len(set) == 0 && len(odd) == 0 {
		return nil, nil, errors.New("the key set has no keys")
	}
	if len(set) == 0 {
		return nil, odd, fmt.Errorf("the key set has no key for RS256, ES256 or EdDSA signatures: %s", odd)
	}
	return set, odd, nil
}

// verification returns the key, if it is one that verifies what is supported here.
func (k *jsonWebKey) verification() (verificationKey, *keyFault) {
	key, algorithm, fault := k.public()
	switch {
	case fault != nil:
		return verificationKey{}, fault
	case !k.verifies():
		return verificationKey{}, &keyFault{keyOtherUse, "it is not for verifying signatures"}
	case k.Algorithm != "" && k.Algorithm != algorithm:
		return verificationKey{}, &keyFault{keyUnsupported, "its alg is not supported"}
	}
	return verificationKey{id: k.ID, algorithm: algorithm, key: key}, nil
}

// verifies reports whether the key is meant for signatures.
func (k *jsonWebKey) verifies() bool {
	if k.Use != "" && k.Use != "sig" {
		return false
	}
	for _, op := range k.Ops {
		if op == "verify" {
			return true
		}
	}
	return len(k.Ops) == 0
}

// public returns the key and the algorithm that goes with it.
func (k *jsonWebKey) public() (crypto.PublicKey, string, *keyFault) {
	switch {
	case k.Type == "RSA":
		key, fault := k.rsa()
		return key, "RS256", fault
	case k.Type == "EC" && k.Curve == "P-256":
		key, fault := k.ecdsa()
		return key, "ES256", fault
	case k.Type == "OKP" && k.Curve == "Ed25519":
		x, fault := keyBytes("x", k.X)
		if fault == nil && len(x) != ed25519.PublicKeySize {
			fault = malformed("x has %d bytes, want %d", len(x), ed25519.PublicKeySize)
		}
		return ed25519.PublicKey(x), "EdDSA", fault
	case k.Type == "":
		return nil, "", malformed("kty is missing")
	}
	return nil, "", &keyFault{keyUnsupported, "its kty or crv is not supported"}
}

func (k *jsonWebKey) rsa() (*rsa.PublicKey, *keyFault) {
	n, fault := keyBytes("n", k.N)
	if fault != nil {
		return nil, fault
	}
	e, fault := keyBytes("e", k.E)
	if fault != nil {
		return nil, fault
	}
	modulus, exponent := new(big.Int).SetBytes(n), new(big.Int).SetBytes(e)
	switch {
	case modulus.BitLen() < minRSABits:
		return nil, &keyFault{keyWeak, fmt.Sprintf("an RSA key of %d bits is too short (at least %d)", modulus.BitLen(), minRSABits)}
	case modulus.BitLen() > maxRSABits:
		return nil, &keyFault{keyUnsupported, fmt.Sprintf("an RSA key of %d bits is too long (at most %d)", modulus.BitLen(), maxRSABits)}
	case exponent.BitLen() > 31 || exponent.Int64() < 3 || exponent.Bit(0) == 0:
		return nil, &keyFault{keyWeak, "e is no exponent of RSA"}
	}
	return &rsa.PublicKey{N: modulus, E: int(exponent.Int64())}, nil
}

func (k *jsonWebKey) ecdsa() (*ecdsa.PublicKey, *keyFault) {
	x, fault := keyBytes("x", k.X)
	if fault != nil {
		return nil, fault
	}
	y, fault := keyBytes("y", k.Y)
	if fault != nil {
		return nil, fault
	}
	const uncompressed = 4 // of a point (SEC 1, section 2.3.3)
	key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), append(append([]byte{uncompressed}, x...), y...))
	if err != nil {
		return nil, malformed("x and y are no point of P-256")
	}
	return key, nil
}

func keyBytes(field, text string) ([]byte, *keyFault) {
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(b) == 0 {
		return nil, malformed("%s is not base64url", field)
	}
	return b, nil
}
