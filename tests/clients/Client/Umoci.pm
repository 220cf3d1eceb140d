package Client::Umoci;
use v5.36;
use parent -norequire, 'Client::Skopeo';
use parent 'Client';
use Client::Skopeo;
use Registry::Tools;

# It changes images in a layout on disk, and skopeo carries that: what went out by both comes back
# as it was.

sub name ($class)     { return 'umoci' }
sub programs ($class) { return ('umoci', 'skopeo') }
sub version ($class)  { return run([ 'umoci', '--version' ])->{out} =~ /version ([\d.]+)/ ? $1 : '?' }

sub can ($class, $method) {
    return undef if $method =~ /^(?:login|wrong_password|pull_digest|missing|copy|index|tags|untag|delete|enter|give|take|carry|drop)$/;
    return $class->SUPER::can($method);
}

sub prepare ($self) {
    $self->SUPER::prepare;
    $self->SUPER::login if $self->place->closed;
    return;
}

sub umoci ($self, @args) { return $self->good($self->exec([ 'umoci', @args ])) }

sub push ($self) {
    my ($layout, $image) = ($self->dir('layout'), $self->dir('layout') . ':v1');
    $self->{file} = random_bytes(200_000);
    $self->umoci('init', '--layout', $layout);
    $self->umoci('new',  '--image',  $image);
    $self->umoci('insert', '--rootless', '--image', $image, spew($self->dir("file$_"), $self->{file} . $_), "/file$_") for 1, 2;
    $self->umoci('config', '--image', $image, '--config.label', 'note=a test');
    $self->must('copy', $self->how('dest-'), "oci:$layout:v1", $self->there);
    my $manifest = $self->place->serves($self->repo, 'v1', $self->place->digest_at($self->repo, 'v1'));
    die scalar @{ $manifest->{layers} } . " layers, not two\n" if @{ $manifest->{layers} } != 2;
    return;
}

sub pull ($self) {
    my $layout = $self->dir('pulled');
    $self->must('copy', $self->how('src-'), $self->there, "oci:$layout:v1");
    $self->umoci('unpack', '--rootless', '--image', "$layout:v1", $self->dir('bundle'));
    $self->same(slurp($self->dir("bundle/rootfs/file$_")), $self->{file} . $_, "file$_") for 1, 2;
    return;
}

1;
