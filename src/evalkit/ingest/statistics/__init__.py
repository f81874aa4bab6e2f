"""Statistics services: KOSIS and ECOS, asked politely, answers kept as received, reports rebuilt without the network.

`connection` asks (retries, rate limit, a key that nobody sees); `kosis` and `ecos` know the forms and divide what is too large;
`kept` writes answers once and verifies them; `changes` says what was revised; `catalogue` which series serve which outcome. The
tables themselves come from `evalkit.ingest.sources.kosis` and `ecos`.
"""
