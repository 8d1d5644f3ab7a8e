module stepped

go 1.21
