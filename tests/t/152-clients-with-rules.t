# docker, podman, buildah and skopeo in a registry with rules, over HTTP with our nginx, and over HTTPS behind another
# one: they do what users, a group, a robot and strangers may do, and are refused at once what these may not, in words for people.
use v5.36;
use Registry limit => 280;
use JSON::PP qw(decode_json);
use Registry::Tools;
use Test::More;

BEGIN { need('openssl') }

# The others are built by hand (tests/clients/run --install); those that are there are tried by 160-go-clients.t.
my @CLIENTS = grep { find_program($_) || ($ENV{CI} // '') eq 'true' } qw(skopeo podman buildah docker);
plan(skip_all => 'no client is installed') if !@CLIENTS;

my $tmp     = tempdir();
my $sources = $ENV{srcdir} // '.';
my $ran     = run([ $^X, "$sources/tests/clients/run", '--rules', '--places', 'own,other-tls', '--only', join(',', @CLIENTS), '--results', "$tmp/results" ],
    timeout => 270, env => { REGISTRY_SERVER => Registry->program });
my $is = eval { decode_json(slurp("$tmp/results")) } or BAIL_OUT("no results: exit $ran->{exit}\n$ran->{out}$ran->{err}");
note($ran->{out});

for my $name (@CLIENTS) {
    my ($reason) = grep { /^\Q$name\E is absent: / } @{ $is->{reasons} };
    if (defined $reason) {
        fail($reason) if ($ENV{CI} // '') eq 'true' && is_root();
        SKIP: { skip $reason =~ s/\n//r, 1 }
        next;
    }
    my $cells = $is->{cells}{$name};
    my @bad   = grep { $cells->{$_} ne 'ok' } sort keys %$cells;
    ok(keys %$cells >= 10 && !@bad, "$name $is->{versions}{$name}: " . join ', ', sort keys %$cells);
}
my @failed = grep { !/ is absent: / } @{ $is->{reasons} };
ok(!@failed, 'nothing failed') or diag(@failed);

finish();
