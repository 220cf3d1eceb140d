# What a docker engine of today pushes, one of long ago pulls, by the first API: its checks of each JSON pass, and the
# layers, unpacked one after the other, are the image's root file system.
use v5.36;
use Registry limit => 240;
use Digest::SHA ();
use Registry::Checks;
use Registry::Clients;
use Registry::ImageTree;
use Registry::Layers ();
use Registry::Tools;
use Registry::V1;
use Test::More;

BEGIN { need('docker', 'dockerd', 'skopeo', 'umoci', 'tar') }
plan(skip_all => 'a docker engine needs root') if !is_root();

my $docker   = Registry::Clients->docker_engine or skip_or_fail("the docker engine does not start: $@");
my $registry = Registry->start;
my $v1       = Registry::V1->new($registry);
my $address  = '127.0.0.1:' . $registry->port;
my $tmp      = tempdir();
my $name     = "$address/team/app:v1";

# ---- an image: layers that replace, hide and link what is below ----

my @tars = map { Registry::Layers::tar_of(@$_) } (
    [ 'd bin', 'f bin/sh #!fake', 'l bin/bash sh', 'd etc', 'f etc/a one', 'f etc/gone x', 'h etc/hard etc/a', 'd root', 'd root/sub',
        'f root/sub/x s', 'd opt', 'f opt/file x', { name => 'etc/owned', data => 'mine', mode => 0640, uid => 1000, gid => 100 } ],
    [ 'd etc', 'f etc/.wh.gone ', 'f etc/a two', 'd root', 'f root/.wh..wh..opq ', 'f root/new n' ],
    [ 'd opt', 'f opt/.wh.file ', 'd opt/file', 'f opt/file/inside y', { name => 'opt/' . 'long' x 40, data => 'z', format => 'pax' } ],
    [ 'd var', map { { name => "var/$_", data => random_bytes(20_000) } } 1 .. 5 ],
);
my %run     = (Env => [ 'A=1 & <b>', 'PATH=/bin' ], Cmd => [ '/bin/sh', '-c', 'x' ], Entrypoint => ['/bin/run'], WorkingDir => '/root',
    User => '1000', ExposedPorts => { '80/tcp' => {} }, Volumes => { '/var' => {} }, Labels => { a => 'b' });
my $dated   = sub ($day) { return "2024-01-0${day}T10:11:12.123456789Z" };
my $config  = json_of({
    architecture => 'amd64', os => 'linux', created => $dated->(6), author => 'ann', config => \%run,
    rootfs => { type => 'layers', diff_ids => [ map { digest($_) } @tars ] },
    history => [
        { created => $dated->(1), created_by => '/bin/sh -c #(nop) ADD file in / ', comment => 'the base' },
        { created => $dated->(2), created_by => 'RUN rm /etc/gone' },
        { created => $dated->(3), created_by => 'ENV A=1 & <b>', empty_layer => JSON::PP::true() },
        { created => $dated->(4), created_by => 'COPY opt /opt' },
        { created => $dated->(5), created_by => 'COPY var /var' },
        { created => $dated->(6), created_by => 'CMD ["x"]', empty_layer => JSON::PP::true() },
    ],
});
my $id = digest($config) =~ s/.*://r;

sub archive () {
    mkdir "$tmp/archive";
    spew("$tmp/archive/layer-$_.tar", $tars[$_]) for 0 .. $#tars;
    spew("$tmp/archive/$id.json", $config);
    spew("$tmp/archive/manifest.json",
        json_of([ { Config => "$id.json", RepoTags => [$name], Layers => [ map { "layer-$_.tar" } 0 .. $#tars ] } ]));
    my $made = run([ 'tar', '-cf', "$tmp/image.tar", '-C', "$tmp/archive", 'manifest.json', "$id.json", map { "layer-$_.tar" } 0 .. $#tars ]);
    die $made->{err} if $made->{exit};
    return;
}
archive();
works($docker->run('load', '-i', "$tmp/image.tar"), 'an image of four layers');
works($docker->run('push', $name), 'is pushed');

my $pulled = $v1->pull_images('team/app', 'v1');
my @images = @{ $pulled->{images} };
is_status($_->[1], $_->[2], "the pull: $_->[0]") for @{ $pulled->{steps} };
is(scalar @images, scalar @tars, 'each layer is an image');
is($images[-1]{id}, $id, 'the topmost is called as docker calls it');

# ---- what docker 1.6 asks of a JSON: it reads these members into variables of these types ----

my %RUN = (
    Hostname => 'text', Domainname => 'text', User => 'text', Memory => 'number', MemorySwap => 'number', CpuShares => 'number',
    Cpuset => 'text', AttachStdin => 'boolean', AttachStdout => 'boolean', AttachStderr => 'boolean', PortSpecs => 'texts',
    ExposedPorts => 'object', Tty => 'boolean', OpenStdin => 'boolean', StdinOnce => 'boolean', Env => 'texts', Cmd => 'texts',
    Image => 'text', Volumes => 'object', WorkingDir => 'text', Entrypoint => 'texts', NetworkDisabled => 'boolean',
    MacAddress => 'text', OnBuild => 'texts', Labels => 'object',
);
my %MEMBERS = (
    id => 'text', parent => 'text', comment => 'text', created => 'text', container => 'text', docker_version => 'text',
    author => 'text', architecture => 'text', os => 'text', Size => 'number', container_config => 'object', config => 'object',
);

sub is_of ($type, $value) {
    return 1 if !defined $value;    # null leaves a variable as it is
    my $json = JSON::PP->new->allow_nonref->encode($value);
    return ref $value eq 'HASH'                               if $type eq 'object';
    return ref $value eq 'ARRAY' && !grep { ref || !defined } @$value if $type eq 'texts';
    return $json =~ /^(?:true|false)$/                        if $type eq 'boolean';
    return $json =~ /^-?\d+$/                                 if $type eq 'number';
    return $json =~ /^"/;
}

# Members whose type is another; Go's decoder takes names in any case.
sub misfits ($object, $types) {
    my %type = map { lc $_ => $types->{$_} } keys %$types;
    return grep { $type{ lc $_ } && !is_of($type{ lc $_ }, $object->{$_}) } sort keys %$object;
}

for my $i (0 .. $#images) {
    my $image = $images[$i];
    my $json  = eval { JSON::PP->new->utf8->decode($image->{json}) } // {};
    my @wrong = (misfits($json, \%MEMBERS), map { misfits($json->{$_} // {}, \%RUN) } 'config', 'container_config');
    is("@wrong", '', "image $i: all members of its JSON have their types");
    like($json->{id} // '', qr/^[a-f0-9]{64}$/, '... it has an id');
    is($json->{id}, $image->{id}, '... the one that it was asked for by');
    is($json->{parent}, $i ? $images[ $i - 1 ]{id} : undef, '... its parent was pulled before');
    like($json->{created}, qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z$/, '... a date that is one');
    is($image->{size}, length $image->{layer}, '... and a layer as large as was said');
}
my $top = JSON::PP->new->utf8->decode($images[-1]{json});
is_deeply({ map { $_ => $top->{config}{$_} } keys %run }, \%run, 'the topmost says how a container of it runs');
my @by = map { (JSON::PP->new->utf8->decode($_->{json})->{container_config}{Cmd} // [])->[0] } @images[ 0 .. 2 ];
is_deeply(\@by, [ '/bin/sh -c #(nop) ADD file in / ', 'RUN rm /etc/gone', 'COPY opt /opt' ], 'those below say what made them');

# ---- the root file system ----

# Lays a layer over what is there, as an engine does: first what it hides goes, then its files come.
sub lay_over ($root, $layer) {
    spew("$tmp/layer", $layer);
    my $list = run([ 'tar', '-tf', "$tmp/layer" ]);
    die "tar: $list->{err}" if $list->{exit};
    for my $path (split /\n/, $list->{out}) {
        my ($dir, $hidden) = $path =~ m{^(?:\./)?(.*?)/?\.wh\.([^/]+)$} or next;
        my @gone = $hidden eq '.wh..opq' ? glob("$root/$dir/{,.[!.]}*") : "$root/$dir/$hidden";
        run([ 'rm', '-rf', '--', @gone ]);
    }
    my $unpacked = run([ 'tar', '-xpf', "$tmp/layer", '-C', $root, '--numeric-owner', '--same-owner', '--exclude=.wh.*' ]);
    return fail("tar: $unpacked->{err}") if $unpacked->{exit};
    return;
}

# Paths, each with what it is; files with their sum, and which one they are linked to.
sub tree_at ($root) {
    my $tree = unpacked_tree($root);
    my %first;
    for my $path (sort keys %$tree) {
        my $inode = delete $tree->{$path}{inode};
        next if $tree->{$path}{type} ne 'file';
        $tree->{$path}{same} = $first{$inode} //= $path;
        $tree->{$path}{sum}  = file_digest("$root/$path");
    }
    return $tree;
}

mkdir "$tmp/root";
lay_over("$tmp/root", $_->{layer}) for @images;
my $old = tree_at("$tmp/root");
ok(!$old->{'etc/gone'} && !$old->{'root/sub'} && $old->{'opt/file/inside'} && $old->{'root/new'}, 'what layers hide is gone, what they bring is there');

works(skopeo('copy', '--src-tls-verify=false', "docker://$name", "oci:$tmp/layout:v1"), 'skopeo fetches the same image');
my $umoci = run([ 'umoci', 'unpack', '--image', "$tmp/layout:v1", "$tmp/bundle" ]);
works($umoci, 'umoci unpacks it');
is_deeply($old, tree_at("$tmp/bundle/rootfs"), 'the root file system is the one that umoci makes');

# What the engine's own containers have: they get some files besides.
works($docker->run('create', '--name', 'one', $name), 'a container');
works($docker->run('export', '-o', "$tmp/export.tar", 'one'), '... is exported');
mkdir "$tmp/export";
works(run([ 'tar', '-xpf', "$tmp/export.tar", '-C', "$tmp/export", '--numeric-owner', '--same-owner' ]), '... and unpacked');
my $export = tree_at("$tmp/export");
my $beside = qr{^(?:\.dockerenv|dev|proc|sys|etc/(?:hosts|hostname|resolv\.conf|mtab))(?:/|$)};
delete @$export{ grep { !$old->{$_} && /$beside/ } keys %$export };
is_deeply($export, $old, '... it has the same root file system');
$docker->stop;

is_tidy($registry);
finish();
