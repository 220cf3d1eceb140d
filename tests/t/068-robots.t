# Robots are users for programs: their secrets are made and shown once, cost nginx nothing, and may expire.
use v5.36;
use Registry limit => 120;
use JSON::PP ();
use Registry::Checks;
use Registry::Tools;
use Test::More;
use Time::HiRes qw(sleep time);

my $registry = Registry->start;
my $dir      = $registry->dir;

sub user ($args, %o) { return Registry->try([ 'user', @$args, '--dir', $dir ], %o) }

# A robot's new secret.
sub secret_of ($args, $name) {
    my $made = user([ @$args, '--robot' ]);
    is("$made->{exit} $made->{err}", '0 ', $name);
    like($made->{out}, qr/\Adrs_[A-Za-z0-9_-]{43}\n\z/, '... and the secret is printed');
    return $made->{out} =~ s/\n//r;
}

sub status_of ($name, $secret) { return $registry->with(user => "$name:$secret")->get('/v2/')->status }
sub line_of ($name) { return (grep { /^\Q$name\E:/ } split /\n/, slurp("$dir/auth/htpasswd"))[0] }
sub row_of ($name) { return (grep { $_->{name} eq $name } @{ JSON::PP->new->decode(user([ 'list', '--json' ])->{out}) })[0] }
sub token_of ($name, $secret) { return $registry->with(user => "$name:$secret")->get('/v1/search?q=')->header('X-Docker-Token') }
sub status_with ($token) { return $registry->get('/v1/search?q=', headers => { Authorization => "Token $token" })->status }

# Of the second API.
sub bearer_of ($name, $secret) { return $registry->with(user => "$name:$secret")->get('/v2/_token?service=docker-registry-server')->json->{token} }
sub status_of_bearer ($token) { return $registry->get('/v2/', headers => { Authorization => "Bearer $token" })->status }

is(user([ 'add', 'ann' ], stdin => "secret\n")->{exit}, 0, 'there is a user');

subtest 'a robot' => sub {
    my $secret = secret_of([ 'add', 'ci' ], 'a robot is added');
    is(status_of('ci', $secret), 200, 'nginx lets it in');
    is(status_of('ci', "${secret}x"), 401, '... with its secret only');
    is_status($registry->with(user => "ci:$secret")->push_image('a/b', '1', [ random_bytes(1000) ]), 201, 'it pushes');
    like(line_of('ci'), qr/^ci:\{SSHA\}[A-Za-z0-9+\/]{48}:robot$/, 'its line is as nginx knows it');
    ok(index(slurp("$dir/auth/htpasswd"), $secret) < 0, '... without the secret');
    is_deeply(row_of('ci'), { name => 'ci', kind => 'robot', hash => 'ssha', expires => '', state => 'valid' }, 'the list says what it is');
    is(user([ 'verify', 'ci' ], stdin => "$secret\n")->{exit}, 0, 'user verify knows the secret');

    my $token = token_of('ci', $secret);
    is(status_with($token), 200, 'a token of the first API is right');
    my $bearer = bearer_of('ci', $secret);
    is(status_of_bearer($bearer), 200, '... and one of the second');
    my $second = secret_of([ 'passwd', 'ci' ], 'it gets a new secret');
    is(status_of('ci', $second) . status_of('ci', $secret), '200401', '... which replaces the first');
    is(status_with($token) . status_of_bearer($bearer), '401401', '... and its tokens');
    my $third = secret_of([ 'add', 'ci' ], 'added once more, it gets another');
    is(status_of('ci', $third) . status_of('ci', $second), '200401', '... which replaces the second');
    my $lines = () = slurp("$dir/auth/htpasswd") =~ /^ci:/mg;
    is($lines, 1, 'there is one line of it');
};

subtest 'people and robots' => sub {
    my $before = slurp("$dir/auth/htpasswd");
    is_refused(user([ 'add', 'ci' ], stdin => "secret\n"), qr/ci is a robot/, 'a robot gets no password');
    is_refused(user([ 'passwd', 'ci' ], stdin => "secret\n"), qr/ci is a robot/, '... nor by passwd');
    is_refused(user([ 'add', 'ann', '--robot' ]), qr/ann has a password/, 'a user becomes no robot');
    is_refused(user([ 'passwd', 'ann', '--robot' ]), qr/ann has a password/, '... nor by passwd');
    is_refused(user([ 'passwd', 'eve', '--robot' ]), qr/no user eve\b/, 'an unknown robot gets no secret');
    for my $when ('30', '2026', '0d', '2020-01-31', '2027-02-29', 'tomorrow', '12x', '9999999d', '') {
        my $result = user([ 'add', 'new', '--robot', '--expires', $when ]);
        is($result->{exit}, 2, "--expires '$when' is refused");
        is($result->{out}, '', '... without a secret');
    }
    my $person = user([ 'add', 'bob', '--expires', '1d' ], stdin => "secret\n");
    is($person->{exit}, 2, 'a password does not expire');
    like($person->{err}, qr/--robot/, '... which is said');
    is(slurp("$dir/auth/htpasswd"), $before, 'nothing has changed');
};

subtest 'how long' => sub {
    secret_of([ 'add', 'dated', '--expires', '2099-01-31' ], 'until a day');
    like(line_of('dated'), qr/:robot,expires=4073500800$/, '... is kept in seconds');
    is(row_of('dated')->{expires}, '2099-01-31T00:00:00Z', '... and listed as a time');
    secret_of([ 'passwd', 'dated' ], 'a new secret');
    is(row_of('dated')->{expires}, '2099-01-31T00:00:00Z', '... is valid as long');
    secret_of([ 'passwd', 'dated', '--expires', '2098-12-31T23:59:59Z' ], 'unless another time is given');
    is(row_of('dated')->{expires}, '2098-12-31T23:59:59Z', '... which counts');
    secret_of([ 'passwd', 'dated', '--expires', 'never' ], 'never');
    is(row_of('dated')->{expires}, '', '... is no time');
    my $before = time;
    secret_of([ 'add', 'dated', '--expires', '90d' ], 'for some days');
    my ($expiry) = line_of('dated') =~ /expires=(\d+)$/;
    cmp_ok(abs($expiry - $before - 90 * 86400), '<', 60, '... from now');
};

subtest 'the end' => sub {
    my $secret = secret_of([ 'add', 'short', '--expires', '5s' ], 'a robot for some seconds');
    like($registry->with(user => "short:$secret")->get('/v2/_token')->json->{expires_in}, qr/^[1-5]$/, '... whose tokens end with it');
    my ($expiry) = line_of('short') =~ /expires=(\d+)$/;
    # A line behind it must not take its place.
    spew("$dir/auth/htpasswd", slurp("$dir/auth/htpasswd") . "short:{PLAIN}second\n");
    is(status_of('short', $secret), 200, 'is let in');
    my $token = token_of('short', $secret);
    my $bearer = bearer_of('short', $secret);
    is(status_with($token) . status_of_bearer($bearer), '200200', '... with its tokens, too');
    my $early = wait_for(20, sub { status_of('short', $secret) == 401 }) ? time : 0;
    cmp_ok($early, '>=', $expiry, 'it is refused, not before its time') or diag($registry->log);
    cmp_ok($early, '<', $expiry + 2, '... and at most two seconds later');
    is(status_with($token) . status_of_bearer($bearer), '401401', '... with its tokens, too');
    is(status_of('short', 'second'), 401, 'a second line of that name does not count');
    is(row_of('short')->{state}, 'expired', 'the list says that it has expired');
    ok((grep { /robots have expired/ } $registry->logged(qr/expired=/)), '... and so does the log');
    is_refused(user([ 'verify', 'short' ], stdin => "$secret\n"), qr/robot short has expired/, '... and user verify');
    is_refused(user([ 'passwd', 'short', '--robot' ]), qr/has expired.*--expires/, 'a new secret needs a new time');

    $registry->stop;
    $registry = Registry->start(dir => $dir);
    is(status_of('short', $secret), 401, 'after a restart it is refused as well');
    is(user([ 'verify', 'ann' ], stdin => "secret\n")->{exit}, 0, 'others are not');
    my $again = secret_of([ 'passwd', 'short', '--expires', '1d' ], 'it can come back');
    is(status_of('short', $again), 200, '... and is let in');
};

subtest 'the end, without the password file' => sub {
    my $secret = secret_of([ 'add', 'late', '--expires', '3s' ], 'a robot for some seconds');
    rename "$dir/auth/htpasswd", "$dir/auth/away" or die "rename: $!";
    ok(wait_for(20, sub { status_of('late', $secret) == 401 }), 'is refused although the file is gone');
    is($registry->get('/v2/')->status, 401, '... and nothing is opened by that');
    rename "$dir/auth/away", "$dir/auth/htpasswd" or die "rename: $!";
};

subtest 'a secret that nobody could read' => sub {
    my $full = run([ 'sh', '-c', 'exec "$@" >/dev/full', 'sh', Registry->program, 'user', 'passwd', 'ci', '--robot', '--dir', $dir ]);
    is($full->{exit}, 1, 'is a failure');
    like($full->{err}, qr/can't be printed.*user passwd/, '... which says what to do');
};

finish();
