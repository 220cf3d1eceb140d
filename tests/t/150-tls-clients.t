# docker, podman, buildah and skopeo over TLS with a password, with our nginx and behind another one: what
# they may do works, and what they may not is refused at once, with a message for people.
use v5.36;
use Registry limit => 400;
use MIME::Base64 qw(encode_base64);
use Registry::Checks;
use Registry::Clients;
use Registry::Images;
use Registry::Nginx;
use Registry::Tools;
use Test::More;
use Time::HiRes qw(time);

BEGIN { need('openssl', 'curl') }

my $QUICKLY = 15;                # seconds; docker's retries of a push take 40
my @LARGE   = map { $_ << 20 } 1, 1, 2, 2, 4, 5, 10, 25, 50, 100;
my @SMALL   = map { 30_000 * $_ } 1 .. 10;

my $tmp = tempdir();
my @authority = make_certificate($tmp, 'authority');
my @other     = make_certificate($tmp, 'other');
my ($cert, $key) = make_certificate($tmp, 'registry', 1001, @authority);
my %trust = (right => "$tmp/right", wrong => "$tmp/wrong");
mkdir $_ for values %trust;
spew("$trust{right}/ca.crt", slurp($authority[0]));
spew("$trust{wrong}/ca.crt", slurp($other[0]));

# ---- the clients, each with its own words for the same things ----
#
# A client is a hash of subs, and most of them return what Registry::Tools::run does. $at is the
# registry's address, $trust tells which authority the client believes, $password is ann's.
#   host         by which name it knows 127.0.0.1
#   wrong        our text for a wrong password, if it shows that
#   unusable     why it can't be tested here, or undef
#   image        an image of layers of these sizes, from nowhere
#   login, logout, push, pull
#   push_as      push with a password that no login has checked
#   forget       drops what it has of the image
#   digests      what it pushed, and what it pulled

sub containers_client ($program) {
    my $client = $program eq 'podman' ? Registry::Clients->podman : Registry::Clients->buildah;
    my $do     = sub (@args) { return $client->run(@args) };
    my ($image, $archive, $told) = ('localhost/app:v1', "$tmp/$program.tar", "$tmp/$program.digest");
    my @always = $program eq 'buildah' ? ('--policy', 'always') : ();
    my $pulled;
    return {
        host     => '127.0.0.1',
        unusable => sub {
            my $ran = $do->('info');
            return $ran->{exit} ? "$program does not run here: $ran->{err}" : undef;
        },
        image    => sub (@sizes) {
            make_archive($archive, $image, @sizes);
            return $program eq 'podman' ? $do->('load', '-i', $archive) : $do->('pull', "docker-archive:$archive");
        },
        login   => sub ($at, $trust, $password) {
            return $do->('login', '--cert-dir', $trust{$trust}, '-u', 'ann', '-p', $password, $at);
        },
        logout  => sub ($at) { $do->('logout', $at) },
        push    => sub ($at, $trust, @more) {
            return $do->('push', '--cert-dir', $trust{$trust}, '--digestfile', $told, @more, $image,
                "docker://$at/team/$program:v1");
        },
        push_as => sub ($self, $at, $password) { $self->{push}->($at, 'right', '--creds', "ann:$password") },
        forget  => sub { $do->('rmi', '-a', '-f') },
        pull    => sub ($at, $trust) {
            $pulled = "$at/team/$program:v1";
            return $do->('pull', @always, '--cert-dir', $trust{$trust}, $pulled);
        },
        digests => sub {
            my @look = $program eq 'podman' ? ('image', 'inspect', '--format', '{{.Digest}}')
                : ('inspect', '--type', 'image', '--format', '{{.FromImageDigest}}');
            return (slurp($told), $do->(@look, $pulled)->{out} =~ s/\s+$//r);
        },
        stop => sub { $client->stop },
    };
}

sub skopeo_client () {
    my $done = { exit => 0, signal => 0, out => '', err => '' };
    my $told = "$tmp/skopeo.digest";
    return {
        host     => '127.0.0.1',
        unusable => sub { undef },
        image    => sub (@sizes) { make_layout("$tmp/skopeo", 'v1', @sizes); return $done },
        login    => sub ($at, $trust, $password) {
            return skopeo('login', '--cert-dir', $trust{$trust}, '-u', 'ann', '-p', $password, $at);
        },
        logout   => sub ($at) { skopeo('logout', $at) },
        push     => sub ($at, $trust, @more) {
            return skopeo('copy', '--dest-cert-dir', $trust{$trust}, '--digestfile', $told, @more,
                "oci:$tmp/skopeo:v1", "docker://$at/team/skopeo:v1");
        },
        push_as => sub ($self, $at, $password) { $self->{push}->($at, 'right', '--dest-creds', "ann:$password") },
        forget  => sub { run([ 'rm', '-rf', "$tmp/pulled" ]) },
        pull    => sub ($at, $trust) {
            return skopeo('copy', '--src-cert-dir', $trust{$trust}, "docker://$at/team/skopeo:v1",
                "oci:$tmp/pulled:v1");
        },
        digests => sub { return (slurp($told), grep { $_ eq slurp($told) } layout_digests("$tmp/pulled")) },
        stop    => sub { },
    };
}

sub docker_client () {
    my ($docker, $pushed, $pulled);
    my $do = sub ($at, $trust, @args) {
        $docker->trust($at, "$trust{$trust}/ca.crt");
        return $docker->run(@args);
    };
    return {
        host     => 'registry.test',
        wrong    => qr/unauthorized: wrong user name or password/,
        unusable => sub {
            return 'a docker engine needs root' if !is_root();
            $docker = Registry::Clients->docker_engine(name => 'registry.test');
            return $docker ? undef : "the docker engine does not start: $@";
        },
        image => sub (@sizes) {
            make_archive("$tmp/docker.tar", 'app:v1', @sizes);
            return $docker->run('load', '-i', "$tmp/docker.tar");
        },
        login  => sub ($at, $trust, $password) { $do->($at, $trust, 'login', '-u', 'ann', '-p', $password, $at) },
        logout => sub ($at) { $docker->run('logout', $at) },
        push   => sub ($at, $trust) {
            $docker->run('tag', 'app:v1', "$at/team/docker:v1");
            my $ran = $do->($at, $trust, 'push', "$at/team/docker:v1");
            ($pushed) = $ran->{out} =~ /digest: (sha256:\w+)/;
            return $ran;
        },
        push_as => sub ($self, $at, $password) {
            mkdir $docker->home . '/config';
            my %stored = (auth => encode_base64("ann:$password", ''));
            spew($docker->home . '/config/config.json', json_of({ auths => { $at => \%stored } }));
            return $self->{push}->($at, 'right');
        },
        forget => sub { $docker->run('rmi', '-f', split ' ', $docker->run('images', '--quiet')->{out}) },
        pull   => sub ($at, $trust) {
            my $ran = $do->($at, $trust, 'pull', "$at/team/docker:v1");
            ($pulled) = $ran->{out} =~ /Digest: (sha256:\w+)/;
            return $ran;
        },
        digests => sub { return ($pushed, $pulled) },
        stop    => sub { $docker->stop },
    };
}

my %CLIENT = (
    skopeo  => \&skopeo_client,
    podman  => sub { containers_client('podman') },
    buildah => sub { containers_client('buildah') },
    docker  => \&docker_client,
);

# ---- what each of them goes through ----

my $PASSWORD  = qr/unauthorized|invalid username|no basic auth credentials/i;
my $AUTHORITY = qr/x509: certificate signed by unknown authority/;

# Refused with such a message, and soon.
sub refused ($ran, $pattern, $name) {
    my ($last) = reverse grep { /\S/ } split /\n/, $ran->{out} . $ran->{err};
    note(sprintf '%s, %.1f s: %s', $name, $ran->{seconds}, $last // '');
    is_refused($ran, $pattern, $name);
    cmp_ok($ran->{seconds}, '<', $QUICKLY, '... at once');
    return;
}

sub goes_through ($client, $at) {
    refused($client->{login}->($at, 'wrong', 'secret'), $AUTHORITY, 'login with a wrong authority');
    refused($client->{login}->($at, 'right', 'wrong'),  $PASSWORD,  'login with a wrong password');
    refused($client->{push}->($at, 'right'),            $PASSWORD,  'push without login');
    refused($client->{pull}->($at, 'right'),            $PASSWORD,  'pull without login');
    refused($client->{push_as}->($client, $at, 'wrong'), $client->{wrong} // $PASSWORD, 'push with a wrong password');
    $client->{logout}->($at);

    works($client->{login}->($at, 'right', 'secret'), 'login');
    refused($client->{push}->($at, 'wrong'), $AUTHORITY, 'push with a wrong authority');
    works(my $push = $client->{push}->($at, 'right'), 'push');
    works($client->{forget}->(), 'it is removed here');
    refused($client->{pull}->($at, 'wrong'), $AUTHORITY, 'pull with a wrong authority');
    works(my $pull = $client->{pull}->($at, 'right'), 'pull');
    my ($pushed, $pulled) = $client->{digests}->();
    like($pushed, qr/^sha256:\w{64}$/, 'the digest');
    is($pulled, $pushed, '... comes back');
    note(sprintf 'push %.1f s, pull %.1f s', $push->{seconds}, $pull->{seconds});

    works($client->{logout}->($at), 'logout');
    refused($client->{pull}->($at, 'right'), $PASSWORD, 'pull after it');
    return;
}

my $alone = Registry->start(args => [ '--tls-cert', $cert, '--tls-key', $key, '--user', 'ann:secret' ]);

my $behind = Registry->start(dir => "$tmp/behind", fastcgi => "$tmp/sockets", args => [ '--user', 'ann:secret' ]);
my %printed;
for my $part ('http', 'server') {
    my $ran = Registry->try([ 'print-nginx-conf', "--$part", '--dir', "$tmp/behind", '--fastcgi', "$tmp/sockets" ]);
    die "print-nginx-conf: $ran->{err}" if $ran->{exit};
    $printed{"$part.conf"} = $ran->{out};
}
my $nginx = Registry::Nginx->start(
    files  => { %printed, 'site.crt' => slurp($cert), 'site.key' => slurp($key) },
    listen => 'ssl http2',
    http   => 'include http.conf;',
    server => "ssl_certificate site.crt;\nssl_certificate_key site.key;\ninclude server.conf;",
) or BAIL_OUT(Registry::Nginx->last_words);

# Where, and who pushes the large image there.
my @PLACES = ([ 'our own nginx', $alone->port, 'skopeo' ], [ 'behind another', $nginx->port, 'docker' ]);

for my $program ('skopeo', 'podman', 'buildah', 'docker') {
    subtest $program => sub {
        find_program($program) or ($ENV{CI} // '') eq 'true' or plan skip_all => "$program is not installed";
        my $client = $CLIENT{$program}->();
        if (defined(my $why = $client->{unusable}->())) {
            return fail($why) if is_root() && ($ENV{CI} // '') eq 'true';
            plan skip_all => $why;
        }
        for my $place (@PLACES) {
            my ($where, $port, $large) = @$place;
            subtest $where => sub {
                my $big = $program eq $large;
                my @sizes = $big ? @LARGE : @SMALL;
                works($client->{image}->(@sizes), @sizes . ' layers' . ($big ? ', 200 MB' : ''));
                goes_through($client, "$client->{host}:$port");
            };
        }
        $client->{stop}->();
    };
}
$nginx->stop;

subtest 'a certificate is renewed while clients push and pull' => sub {
    my $base   = 'https://127.0.0.1:' . $alone->port;
    my $done   = "$tmp/done";
    my $skopeo = find_program('skopeo');
    my @single = ('--cacert', $authority[0], '-u', 'ann:secret', '--http1.1', '-H', 'Connection: close');
    make_layout("$tmp/small", 'v1', @SMALL);

    my $renew = sub {
        for my $serial (2001 .. 2010) {
            make_certificate($tmp, 'registry', $serial, @authority);
            kill 'HUP', $alone->pid;
            wait_for(10, sub { serial_at($alone->port) == $serial }) or die "no certificate $serial after 10 s\n";
        }
        spew($done, '');
        return 1;
    };
    # Each of a hundred requests has a connection of its own.
    my $get = sub {
        my ($good, @bad) = (0);
        until (-e $done) {
            my $ran = curl(@single, '-o', '/dev/null', '-w', "%{http_code}, %{num_connects}\n", "$base/v2/?n=[1-100]");
            my @seen = split /\n/, $ran->{out};
            $good += grep { $_ eq '200, 1' } @seen;
            push @bad, grep({ $_ ne '200, 1' } @seen), $ran->{err} ? $ran->{err} : ();
        }
        return { good => $good, bad => \@bad };
    };
    my $push = sub ($i) {
        my ($good, @bad, $n) = (0);
        until (-e $done) {
            my $ran = skopeo('copy', '--dest-cert-dir', $trust{right}, '--dest-creds', 'ann:secret',
                "oci:$tmp/small:v1", 'docker://127.0.0.1:' . $alone->port . "/load/at$i-" . ++$n);
            $ran->{exit} == 0 ? $good++ : push @bad, $ran->{err};
        }
        return { good => $good, bad => \@bad };
    };
    my ($renewed, @clients) = in_parallel($skopeo ? 5 : 3, 60, sub ($i) {
        return $i == 0 ? $renew->() : $i <= 2 ? $get->() : $push->($i);
    });
    ok($renewed, 'ten new certificates, and each was shown');
    for my $i (0 .. $#clients) {
        my $what = $i < 2 ? 'GETs on new connections' : 'pushes by skopeo';
        cmp_ok($clients[$i]{good} // 0, '>=', 1, $what);
        is_deeply($clients[$i]{bad}, [], '... none failed') or diag(join "\n", @{ $clients[$i]{bad} // [] });
        note("$clients[$i]{good} $what");
    }
};
is_tidy($_) for $alone, $behind;

subtest 'the wrong protocol is told at once' => sub {
    my $answer = $alone->get('/v2/');
    is_error($answer, 400, 'UNSUPPORTED', 'HTTP where HTTPS is spoken');
    like($answer->message, qr/HTTPS/, '... says so');
    is_v1_error($alone->get('/v1/'), 400, '... in the form of the old API');

    my $plain   = Registry->start;
    my $address = '127.0.0.1:' . $plain->port;
    my $hello   = "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" . random_bytes(500);
    my $started = time;
    is_v1_error($plain->raw($hello), 400, 'a TLS hello where HTTP is spoken');
    is_v1_error($plain->raw(substr $hello, 0, 1), 400, '... its first byte');
    cmp_ok(time - $started, '<', 2, '... at once');
    my $curl = curl("https://$address/v2/");
    refused($curl, qr/wrong version number|SSL|TLS/, 'curl');
    return if !find_program('skopeo');
    my $skopeo = skopeo('inspect', "docker://$address/team/app:v1");
    refused($skopeo, qr/server gave HTTP response to HTTPS client/, 'skopeo');
};

finish();
