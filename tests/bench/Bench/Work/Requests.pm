package Bench::Work::Requests;
use v5.36;

# Short requests: manifests and small blobs.

use Bench;
use Bench::Load;
use MIME::Base64 qw(encode_base64);
use Registry::Tools qw(json_of spew slurp);

my $CONFIG = 'application/vnd.oci.image.config.v1+json';

# What must hold, by the number of connections.
my %WANTED = (
    1 => [ [ 'rate', 'zot', 1 ] ],
    map { $_ => [ [ 'rate', 'zot', 2 ], [ 'rate', 'distribution3', 5 ], [ 'rate', 'nginx', 0.5 ], [ 'p99', 'zot', 0.25 ], [ 'memory', '', 64 ] ] } 32, 256,
);

sub works ($class) {
    my @works = map { my $what = $_; { name => $what->{name}, about => $what->{about}, run => sub ($run) { _rows($run, $what) } } } (
        { name => 'manifest-get',  method => 'GET',  of => 'manifest', about => 'GET of a manifest by its tag; 1, 32 and 256 connections, plain and TLS' },
        { name => 'manifest-head', method => 'HEAD', of => 'manifest', about => 'HEAD of the same' },
        { name => 'blob-get',      method => 'GET',  of => 'blob',     about => 'GET of a configuration of 2 KB' },
        { name => 'blob-head',     method => 'HEAD', of => 'blob',     about => 'HEAD of the same' },
    );
    return (@works, { name => 'users', about => 'GET of a manifest with a password (Basic), and with a token; 32 connections', run => \&_users });
}

# An image of five layers in bench/image:latest; nginx has the same bytes as files.
sub push_image ($server) {
    my @parts  = map { "part $_ of the image " x 100 } 0 .. 4;
    my $config = json_of({ architecture => 'amd64', os => 'linux', config => { Labels => { text => 'x' x 1600 } },
            rootfs => { type => 'layers', diff_ids => [ map { Registry::Tools::digest($_) } @parts ] } });
    my $blob = Registry::Tools::digest($config);
    my %path = (manifest => '/v2/bench/image/manifests/latest', blob => "/v2/bench/image/blobs/$blob");
    if ($server->{limit}) {
        my @at = map { { digest => Registry::Tools::digest($_), size => length } } $config, @parts;
        $_->{mediaType} = 'application/vnd.oci.image.layer.v1.tar' for @at;
        $at[0]{mediaType} = $CONFIG;
        mkdir "$server->{dir}/site";
        spew("$server->{dir}/site/manifest", json_of({ schemaVersion => 2, mediaType => $MANIFEST, config => $at[0], layers => [ @at[ 1 .. $#at ] ] }));
        spew("$server->{dir}/site/blob", $config);
        return { manifest => '/manifest', blob => '/blob' };
    }
    my @layers = map { push_small($server, 'bench/image', 'application/vnd.oci.image.layer.v1.tar', $_) } @parts;
    put_manifest($server, 'bench/image', 'latest', push_small($server, 'bench/image', $CONFIG, $config), @layers);
    return \%path;
}

# So many requests a second, and milliseconds of the server's processors for a thousand.
sub measure_requests ($server, $path, %o) {
    my $seen = $server->watch(sub {
        return load('requests', -m => $o{method} // 'GET', -c => $o{connections}, -s => $o{seconds}, -H => "Accept: $MANIFEST",
            $o{body} ? ('-b', $o{body}) : (), (map { ('-H', $_) } @{ $o{headers} // [] }), $server->url($path));
    });
    my $r = $seen->{result};
    return { value => $r->{rate}, p50 => $r->{p50}, p99 => $r->{p99}, cpu => $seen->{cpu} / $r->{done} * 1000, memory => $seen->{memory} };
}

# The bytes that all servers have to give.
sub expected ($server, $path) {
    my $file = "$server->{dir}/expected";
    command('curl', '-q', '--noproxy', '*', '-sSfk', '-H', "Accept: $MANIFEST", '-o', $file, $server->url($path));
    return $file;
}

sub _rows ($run, $what) {
    for my $scheme ('http', 'TLS') {
        my @servers = $run->with_nginx;
        for my $server (@servers) {
            $server->start;
            $server->{path} = push_image($server)->{ $what->{of} };
            $server->{body} = expected($server, $server->{path});
            die "$server->{name}: another $what->{of}\n" if -s $server->{body} != -s $servers[0]{body};
            $server->restart(tls => $run->certificate) if $scheme eq 'TLS';
        }
        for my $connections ($run->{quick} ? 32 : $scheme eq 'TLS' ? (32, 256) : (1, 32, 256)) {
            $run->row($what->{name}, "$scheme, $connections", unit => '/s', servers => \@servers, wanted => $WANTED{$connections},
                measure => sub ($server) {
                    return measure_requests($server, $server->{path}, method => $what->{method}, connections => $connections,
                        seconds => $run->{seconds}, body => $server->{body});
                });
        }
        $run->stop_servers;
    }
    return;
}

# ---- users ----

# The passwords of docker-registry, distribution and zot are bcrypt's, of the cost that htpasswd(1) has.
sub _make_user ($server) {
    if ($server->{own}) {
        command('sh', '-c', 'echo secret | "$0" user add bench --dir "$1"', $server->{program}, "$server->{dir}/data");
        return $server->restart(users => 1);
    }
    return $server->restart(users => spew("$server->{dir}/htpasswd", 'bench:' . crypt('secret', '$2y$05$abcdefghijklmnopqrstuu') . "\n"));
}

sub _users ($run) {
    my @servers = $run->registries;
    my $basic   = 'Authorization: Basic ' . encode_base64('bench:secret', '');
    for my $server (@servers) {
        $server->start;
        $server->{path} = push_image($server)->{manifest};
        _make_user($server);
    }
    $run->row('users', 'Basic, 32', unit => '/s', servers => \@servers, measure => sub ($server) {
        return measure_requests($server, $server->{path}, connections => 32, seconds => $run->{seconds}, headers => [$basic]);
    });
    $run->row('users', 'token, 32', unit => '/s', servers => [ grep { $_->{own} } @servers ], measure => sub ($server) {
        my $answer = command('curl', '-q', '--noproxy', '*', '-sSf', '-H', $basic,
            $server->url('/v2/_token?service=docker-registry-server&scope=repository:bench/image:pull'));
        my ($token) = $answer =~ /"token":"([^"]+)"/ or die "no token: $answer\n";
        return measure_requests($server, $server->{path}, connections => 32, seconds => $run->{seconds}, headers => ["Authorization: Bearer $token"]);
    });
    $run->note('users: docker-registry, distribution and zot take tokens only of another server, so that there are none here.');
    return;
}

1;
