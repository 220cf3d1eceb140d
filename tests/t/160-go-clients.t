# crane, oras, regctl, helm, cosign, ctr and umoci do all that they can, with a registry over HTTP and with one
# over HTTPS with a password.
use v5.36;
use Registry limit => 300;
use JSON::PP qw(decode_json);
use Registry::Tools;
use Test::More;

# The others have tests of their own. Those written in Go are in no package, so they may be absent.
my @PACKAGED = qw(ctr umoci);
my @CLIENTS  = (qw(crane oras regctl helm cosign), @PACKAGED);

my $tmp     = tempdir();
my $sources = $ENV{srcdir} // '.';
my $ran     = run([
    $^X, "$sources/tests/clients/run", '--only', join(',', @CLIENTS), '--results', "$tmp/results",
    defined $ENV{REGISTRY_CLIENTS} ? () : ('--bin', "$sources/build-clients"),
], timeout => 280, env => { REGISTRY_SERVER => Registry->program });
my $is = eval { decode_json(slurp("$tmp/results")) } or BAIL_OUT("no results: exit $ran->{exit}\n$ran->{out}$ran->{err}");
note($ran->{out});

for my $name (@CLIENTS) {
    my ($reason) = grep { /^\Q$name\E is absent: / } @{ $is->{reasons} };
    if (defined $reason) {
        chomp $reason;
        my $packaged = grep { $_ eq $name } @PACKAGED;
        fail($reason)   if $packaged && ($ENV{CI} // '') eq 'true';
        SKIP: { skip $reason, 1 }
        next;
    }
    my $cells = $is->{cells}{$name};
    my @bad   = grep { $cells->{$_} ne 'ok' } sort keys %$cells;
    ok(keys %$cells > 1 && !@bad, "$name $is->{versions}{$name}: " . join ', ', sort keys %$cells);
}
my @failed = grep { !/ is absent: / } @{ $is->{reasons} };
is($ran->{exit}, !!@failed + 0, 'exit code');
ok(!@failed, 'nothing failed') or diag(@failed);

finish();
