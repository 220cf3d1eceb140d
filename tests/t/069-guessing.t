# Guessing: the time of an answer does not tell which users there are, and requests for tokens with a password are
# limited by address, and so are wrong passwords.
use v5.36;
use Registry limit => 240;
use Digest::SHA qw(sha1);
use List::Util qw(max min);
use MIME::Base64 qw(encode_base64);
use Registry::Checks;
use Registry::Clients;
use Registry::Tools;
use Test::More;
use Time::HiRes qw(time);

BEGIN { need('curl') }

my $tmp = tempdir();

# Hashes that take very different times: 12 ms, 2 ms, and nothing.
my %hashes = (
    slow  => crypt('secret', '$2b$08$abcdefghijklmnopqrstuu'),
    usual => crypt('secret', '$5$saltsaltsalt'),
    quick => '{SSHA}' . encode_base64(sha1('secretsalt') . 'salt', ''),
);
# As long as libcrypt takes it: SHA-512-crypt of it takes 12 ms.
my $LONG = 'l' x 511;
$hashes{long} = '{SSHA}' . encode_base64(sha1("${LONG}salt") . 'salt', '');
delete $hashes{slow} if $hashes{slow} !~ /^\$2b/;

my $registry = Registry->start(args => [ '--user', 'ann:secret' ]);
my $file     = $registry->dir . '/auth/htpasswd';
spew($file, join '', map { "$_:$hashes{$_}\n" } sort keys %hashes);
chown((stat $registry->dir . '/layers')[ 4, 5 ], $file);
chmod 0640, $file;
ok(wait_for(10, sub { $registry->with(user => 'quick:secret')->get('/v2/')->status == 200 }), 'there are users');
my $nobody = $registry->with(user => undef);
my @users  = grep { $_ ne 'long' } sort keys %hashes;

# The shortest time of a few tries, and the statuses that were seen.
sub shortest ($client, @request) {
    my ($method, $path, @more) = @request;
    my (@seconds, %statuses);
    for (1 .. 8) {
        my $began = time;
        $statuses{ $client->request($method, $path, @more)->status }++;
        push @seconds, time - $began;
    }
    return (min(@seconds), join ',', sort keys %statuses);
}

# A machine that does much else makes some answers late, and no answer early: what is shorter than it looks shows
# when it is asked again.
my $ROUNDS = 12;

subtest 'the time of a wrong password' => sub {
    my $most = Registry->sanitized ? 0.05 : 0.007;
    for my $request (
        [ GET => '/v2/' ], [ GET => '/v2/a/b/tags/list' ], [ GET => '/v2/_token' ], [ POST => '/v2/a/b/blobs/uploads/', body => '' ],
        [ PUT => '/v2/a/b/manifests/x', body => '{}' ], [ GET => '/v1/users' ], [ GET => '/v2/a/b/_image/x/tree' ],
    ) {
        my (%seconds, %statuses);
        for my $round (1 .. $ROUNDS) {
            for my $user (@users, 'nobody', 'x' x 500) {
                my ($seconds, $statuses) = shortest($registry->with(user => "$user:wrong"), @$request);
                $seconds{$user} = min($seconds, $seconds{$user} // 99);
                $statuses{$statuses} = 1;
            }
            last if max(values %seconds) - min(values %seconds) < $most;
        }
        is_deeply([ keys %statuses ], [401], "$request->[0] $request->[1] with wrong passwords");
        my @all = values %seconds;
        cmp_ok(min(@all), '>', 0.095, '... takes the time of all');
        cmp_ok(max(@all) - min(@all), '<', $most, '... whether the user exists, and whatever the hash');
    }
};

subtest 'who makes no mistake does not wait' => sub {
    my %right = (map({ ("the right password of $_" => [ $registry->with(user => "$_:secret"), 200 ]) } @users), 'no password' => [ $nobody, 401 ]);
    for my $name (sort keys %right) {
        my ($client, $status) = @{ $right{$name} };
        my ($seconds, $statuses);
        for my $round (1 .. $ROUNDS) {
            ($seconds, $statuses) = shortest($client, GET => '/v2/');
            last if $statuses ne $status || $seconds < 0.09;
        }
        is($statuses, $status, $name);
        cmp_ok($seconds, '<', 0.09, '... is answered at once');
    }
};

subtest 'requests for tokens' => sub {
    my $quick = $registry->with(user => 'quick:secret');
    my ($began, %statuses) = time;
    my @connections = map { $quick->connect } 1 .. 10;
    for (1 .. 130) {
        $_->send($quick->head_of('GET', '/v2/_token?service=x')) for @connections;
        $statuses{ $_->response->status == 429 ? 'refused' : 'taken' }++ for @connections;
    }
    my $most = 1001 + 20 * (time - $began) + 20;
    cmp_ok($statuses{taken}, '>=', 1000, 'a thousand at once');
    cmp_ok($statuses{taken}, '<=', $most,   '... and then a few each second');
    # A slow machine may be slower than the limit with one request at a time.
    my $refused;
    wait_for(20, sub {
        my @more = map { $quick->connect } 1 .. 100;
        $_->send($quick->head_of('GET', '/v2/_token?service=x')) for @more;
        ($refused) = grep { $_->status == 429 } map { $_->response } @more;
        return $refused;
    });
    is_error($refused, 429, 'TOOMANYREQUESTS', 'one more');
    is($refused->header('Retry-After'), 1, '... may come in a second');
    like($refused->content, qr/20 of them for tokens/, '... is told why');
    is_status($quick->get('/v2/'), 200, 'other requests are not counted with them');
    isnt($nobody->get('/v2/_token')->status, 429, 'nor are those without a password');
    ok(wait_for(5, sub { $quick->get('/v2/_token')->status != 429 }), 'a moment later there is room again');
};

subtest 'long passwords' => sub {
    my $long = $registry->with(user => "long:$LONG");
    my $over = $registry->with(user => 'quick:' . 's' x 70);
    my ($began, %statuses) = time;
    my @connections = map { $long->connect } 1 .. 10;
    for (1 .. 150) {
        $_->send($long->head_of('GET', '/v2/')) for @connections;
        $statuses{ $_->response->status }++ for @connections;
    }
    my %over = map { $over->get('/v2/')->status => 1 } 1 .. 3;
    my $most = 801 + 80 * (time - $began) + 20;
    is_deeply([ sort keys %statuses ], [ 200, 429 ], 'have a limit');
    cmp_ok($statuses{200}, '>=', 800, '... of eight hundred at once');
    cmp_ok($statuses{200}, '<=', $most, '... and then some each second');
    ok($over{429}, 'long are more than 75 bytes, with the name');
    is_status($registry->with(user => 'quick:' . 's' x 69)->get('/v2/'), 401, 'others are not counted with them');
    isnt($nobody->get('/v2/')->status, 429, 'nor are requests without a password');
};

# By source addresses of this machine that aren't 127.0.0.1, which is never barred.
sub from ($address, @args) {
    return curl('--interface', $address, '--output', "$tmp/answer", '--write-out', '%{http_code} ', @args)->{out};
}

subtest 'many wrong passwords' => sub {
    my $base = 'http://127.0.0.1:' . $registry->port;
    my @all  = ('--parallel', '--parallel-immediate', '--output', '/dev/null');
    my @path = ("$base/v2/", "$base/v2/a/b/tags/list", "$base/v2/_token", "$base/v1/users", "$base/v2/a/b/_image/x/tree");
    from('127.0.0.2', @all, '--user', 'quick:wrong', "$base/v2/?[1-99]");
    like(from('127.0.0.2', '--user', 'quick:secret', "$base/v2/"), qr/^200/, '99, and the right one counts');
    from('127.0.0.2', @all, '--user', 'quick:wrong', "$base/v2/?[1-20]");
    ok(wait_for(10, sub { from('127.0.0.2', '--user', 'quick:secret', "$base/v2/") =~ /^429/ }), 'one more, and the address is barred');
    like(slurp("$tmp/answer"), qr/TOOMANYREQUESTS.*--max-wrong-passwords/, '... with the reason');
    like(from('127.0.0.2', '--user', 'quick:wrong', $_), qr/^429/, "... on $_") for @path;
    like(from('127.0.0.2', '--request', 'PUT', '--data', 'x', '--user', 'quick:secret', "$base/v2/a/b/$_"), qr/^429/, "... for $_")
        for 'manifests/x', 'blobs/uploads/x';
    like(from('127.0.0.2', "$base/v2/"), qr/^401/, 'requests without a password are not');
    like(from('127.0.0.2', '--header', 'Authorization: Bearer x', "$base/v2/"), qr/^401/, 'nor are tokens');
    like(from('127.0.0.2', "$base/healthz"), qr/^200/, 'nor is /healthz');
    like(from('127.0.0.3', '--user', 'quick:secret', "$base/v2/"), qr/^200/, 'nor are other addresses');
    is(scalar(grep { /too many wrong passwords" address=127\.0\.0\.2 seconds=60/ } split /\n/, $registry->log), 1, 'the log says so');
    from('127.0.0.1', @all, '--user', 'quick:wrong', "$base/v2/?[1-150]");
    like(from('127.0.0.1', '--user', 'quick:secret', "$base/v2/"), qr/^200/, 'a proxy of this machine is not barred');
    ok(wait_for(75, sub { from('127.0.0.2', '--user', 'quick:secret', "$base/v2/") =~ /^200/ }), 'a minute later the address may try again');
};

subtest 'without the limit' => sub {
    my $open = Registry->start(args => [ '--user', 'ann:secret', '--max-wrong-passwords', '0' ]);
    my $base = 'http://127.0.0.1:' . $open->port;
    from('127.0.0.2', '--parallel', '--parallel-immediate', '--output', '/dev/null', '--user', 'ann:wrong', "$base/v2/?[1-300]");
    like(from('127.0.0.2', '--user', 'ann:secret', "$base/v2/"), qr/^200/, 'nobody is barred');
    $open->stop;
};

finish();
