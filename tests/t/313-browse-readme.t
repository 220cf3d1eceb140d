# The commands of README and of the manual for looking inside images, as they stand there; a transfer that breaks
# over HTTP/2.
use v5.36;
use Registry limit => 120;
use Registry::Checks;
use Registry::Clients qw(curl);
use Registry::Layers;
use Registry::Manual;
use Registry::Tools;
use Test::More;

# Runs the commands with the registry of the test, and returns all that they print.
sub run_examples ($registry, @commands) {
    my $port = $registry->port;
    my $all  = '';
    for my $command (@commands) {
        my $ran = run([ 'sh', '-c', $command =~ s/localhost:8000/127.0.0.1:$port/gr =~ s/^curl /curl -sSf /r ]);
        works($ran, $command);
        $all .= "$ran->{out}\n";
    }
    return $all;
}

subtest 'README and manual' => sub {
    my $registry = Registry->start;
    my $release  = "PRETTY_NAME=\"a test\"\nNAME=x\n";
    push_layers($registry, 'hello', '1', gzip_layer(tar_of('d etc/', { name => 'etc/os-release', data => $release })));
    push_layers($registry, 'hello', '2', gzip_layer(tar_of('d etc/', { name => 'etc/os-release', data => "$release\n" }, 'f etc/new x')));

    my @short = readme_examples('Looking inside images');
    cmp_ok(scalar @short, '>=', 5, 'README has commands');
    my $all = run_examples($registry, @short);
    like($all, qr{^\[\{"path":"/etc/os-release"}m,              'the directory');
    like($all, qr/^\Q$release\E/m,                              '... and the file');
    like($all, qr{^[-rw]+ \S+ +28 \S+ \S+ os-release}m,         'what tar says of the archive');
    like($all, qr{^\[\{"path":"/etc/os-release".*\}\]$}m,       'what was found');
    like($all, qr{^\{"op":"add","path":"/etc/new"\}$}m,         'and what is different');

    my @examples = manual_examples('api.7', 'LOOKING INSIDE IMAGES');
    my @long     = grep { /^curl / && !/DIRECTORY/ } @examples;
    cmp_ok(scalar @long, '>=', 8, 'the manual has commands');
    $all = run_examples($registry, @long);
    like($all, qr{"path":"/etc/"},                              'the root is listed');
    like($all, qr{^\[\{"path":"/etc/os-release"}m,              '... and the directory');
    like($all, qr{^\{"path":"/etc/os-release","type":"file"}m,  '... and the entry');
    like($all, qr/^\Q$release\E/m,                              'the file');
    like($all, qr/^\Q${\ substr $release, 0, 10}\E$/m,          'its first ten bytes');
    like($all, qr{^[-rw]+ \S+ +28 \S+ \S+ os-release}m,         'what tar says of the archive');
    like($all, qr{^\[\{"path":"/etc/os-release".*\}\]$}m,       'what was found');
    like($all, qr{^\{"op":"add","path":"/etc/new"\}$}m,         'and what is different');
    my %members = map { $_ => 1 } join("\n", @examples) =~ /"(\w+)":/g;
    my @missing = grep { !$members{$_} } keys %{ $registry->get('/v2/hello/_image/1/stat/etc')->json },
        keys %{ $registry->get('/v2/hello/_image/1/history')->json->[0] };
    ok(!@missing, 'all members are described') or diag("@missing");
};

subtest 'HTTP/2' => sub {
    my $tmp = tempdir();
    my ($certificate, $key) = make_certificate($tmp, 'registry');
    my $registry = Registry->start(args => [ '--tls-cert', $certificate, '--tls-key', $key, '--tls-port', '0' ], listeners => 2,
        expected => qr/upstream prematurely closed/);
    my ($plain, $tls) = sort { ($registry->with(port => $b)->get('/v2/')->status == 200) <=> ($registry->with(port => $a)->get('/v2/')->status == 200) }
        $registry->ports;
    my $client = $registry->with(port => $plain);
    my $big    = join '', map { pack 'N', $_ * 2654435761 % 4294967296 } 1 .. 500_000;
    my $layer  = gzip_layer(tar_entry(name => 'big', data => $big) . tar_end());
    push_layers($client, 'team/app', 'v1', $layer);
    my $fetch = sub {
        return curl('--cacert', $certificate, '--http2', '--output', "$tmp/big", '--write-out', '%{http_version} %{http_code}',
            "https://127.0.0.1:$tls/v2/team/app/_image/v1/blobs/big");
    };
    my $ran = $fetch->();
    is("$ran->{exit} $ran->{out}", '0 2 200', 'a file over HTTP/2');
    ok(slurp("$tmp/big") eq $big, '... its bytes');
    my ($file) = map { $registry->dir . "/$_" } $registry->blob_files(digest($layer->{blob}));
    chmod 0640, $file;
    truncate $file, (-s $file) / 2;
    is($fetch->()->{exit}, 92, 'of a layer that was cut: the stream is broken');
    is($client->get('/v2/')->status, 200, 'and all goes on');
};
finish();
