# The connection to PostgreSQL with TLS: the URL says who the server has to be, and a wrong one is refused in one line.
use v5.36;
use Registry limit => 120;
use Registry::Checks;
use Registry::Postgresql;
use Registry::Tools;
use Test::More;

skip_or_fail('PostgreSQL 15 is not installed (Debian: postgresql-15)') if !Registry::Postgresql->programs;
skip_or_fail('the program was built without PostgreSQL (Debian: libpq-dev)') if slurp(Registry->program) !~ /kv_gate/;

my $tls = tempdir();
chmod 0755, $tls or die "chmod: $!";
my @authority = make_certificate($tls, 'authority');
my ($certificate, $key) = make_certificate($tls, 'database', 2, @authority);
my ($stranger) = make_certificate($tls, 'stranger');
my $pg = Registry::Postgresql->start(certificate => $certificate, key => $key);
$pg->database('registry');

sub url ($host, $authority) { return "postgresql://registry\@$host:" . $pg->port . "/registry?sslmode=verify-full&sslrootcert=$authority" }
sub options ($host, $authority) { return ('--database', url($host, $authority)) }
my %how = (env => { PGPASSWORD => $pg->password });

my $registry = Registry->start(%how, args => [ options('127.0.0.1', $authority[0]) ]);
is_status($registry->push_image('a/b', 'v1', [ my $layer = random_bytes(2000) ]), 201, 'with the right authority an image is pushed');
is_blob($registry, 'a/b', $layer, '... and its blob is there');
my $plain = q(SELECT count(*) FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid) WHERE a.application_name = 'docker-registry-server' AND);
is($pg->sql('registry', "$plain NOT s.ssl")->{out}, "0\n", 'no connection is without TLS');
cmp_ok($pg->sql('registry', "$plain s.ssl")->{out}, '>', 5, '... but many have it');
my $dir = $registry->dir;
works(Registry->try([ 'tag', 'ls', 'a/b', '--dir', $dir, options('127.0.0.1', $authority[0]) ], %how), 'a command beside the server');
$registry->stop;
works(Registry->try([ 'tag', 'ls', 'a/b', '--dir', $dir, options('127.0.0.1', $authority[0]) ], %how), 'and one without it');

sub refusal ($host, $authority) {
    my $ran = Registry->try([ 'tag', 'ls', 'a/b', '--dir', $dir, options($host, $authority) ], %how, timeout => 60);
    is($ran->{exit}, 1, '... is refused');
    is(scalar(() = $ran->{err} =~ /\n/g), 1, '... in one line') or diag($ran->{err});
    unlike($ran->{err}, qr/\Q@{[ $pg->password ]}\E/, '... without the password');
    return $ran->{err};
}
like(refusal('127.0.0.1', $stranger),       qr/the database can't be reached: .*certificate verify failed/,                 'another authority');
like(refusal('localhost', $authority[0]),   qr/the database can't be reached: .*server certificate .*does not match host/, 'another name');
like(refusal('127.0.0.1', "$tls/none.pem"), qr/the database can't be reached: .*\Q$tls\E\/none.pem" does not exist/,       'an authority that is not there');
my $check = Registry->try([ 'check', '--listen', '127.0.0.1', '--port', '0', '--dir', $dir, options('127.0.0.1', $stranger) ], %how, timeout => 60);
like($check->{err} . $check->{out}, qr/database: .*certificate verify failed/, 'check says so, too');
finish();
