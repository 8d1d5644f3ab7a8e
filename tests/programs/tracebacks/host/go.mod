module host

go 1.21
