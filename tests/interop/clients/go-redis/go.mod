module interop

go 1.21

require github.com/threefoldtech/tfgrid-sdk-go/rmb-sdk-go v0.15.18

require (
	github.com/gomodule/redigo v2.0.0+incompatible // indirect
	github.com/google/uuid v1.6.0 // indirect
	github.com/mattn/go-colorable v0.1.13 // indirect
	github.com/mattn/go-isatty v0.0.20 // indirect
	github.com/pkg/errors v0.9.1 // indirect
	github.com/rs/zerolog v1.33.0 // indirect
	golang.org/x/sys v0.23.0 // indirect
)
